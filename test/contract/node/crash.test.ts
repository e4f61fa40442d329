import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { fileKey } from '../../../src/model/ids.ts';
import { fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

describe('several callers', () => {
  test('a crowd of stages of one volume makes one device, the others are busy', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => ground.node.stage(ask)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toEqual(fault('busy'));
    expect(await ground.loops()).toHaveLength(1);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('different volumes are staged side by side', async () => {
    const all = await Promise.all(
      Array.from({ length: 4 }, () => ground.ready(mountAs('ext4'), 64n * MiB)),
    );
    await Promise.all(all.map(({ ask }) => ground.node.stage(ask)));
    expect(await ground.loops()).toHaveLength(4);
    await Promise.all(
      all.map(({ volume, ask }) => ground.node.unstage(volume.id, ask.stagingPath)),
    );
  });
});

describe('generations', () => {
  test('what is staged of an older image is taken down before the current one is used', async () => {
    const { volume, ask, pod } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    await writeFile(join(pod, 'old'), 'old');
    await run(['sync', '-f', pod], 'write');
    const key = fileKey(volume.local, 2, 'abcdef01');
    const next = ground.store.layout.data('volumes', key);
    await run(['cp', '--reflink=always', volume.image, next], 'write');
    const { inode } = await ground.store.files.stat(next);
    await ground.store.volumes.update(volume.local, (record) => ({
      ...record,
      image: { key, inode },
    }));
    await writeFile(join(pod, 'lost'), 'written after the fence');
    await ground.node.stage(ask);
    expect(await ground.loops()).toHaveLength(1);
    expect(await ground.mountPoints()).toEqual([ask.stagingPath]);
    expect(await readFile(join(ask.stagingPath, 'old'), 'utf8')).toBe('old');
    await expect(readFile(join(ask.stagingPath, 'lost'))).rejects.toThrow('ENOENT');
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('a publish over an older image is refused', async () => {
    const { volume, ask, pod } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    const key = fileKey(volume.local, 2, 'abcdef02');
    await ground.store.volumes.update(volume.local, (record) => ({
      ...record,
      image: { key, inode: 1n },
    }));
    await expect(ground.node.publish(publishAsk(ask, pod))).rejects.toThrow('got a new image');
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('an image with another inode than the record says is not used', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await run(['cp', volume.image, `${volume.image}-copy`], 'write');
    await run(['mv', `${volume.image}-copy`, volume.image], 'write');
    await expect(ground.node.stage(ask)).rejects.toThrow('do not use it before that is explained');
  });

  test('an image that somebody else attached is left alone', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const foreign = (await run(['losetup', '-f', '--show', volume.image], 'write')).trim();
    await expect(ground.node.stage(ask)).rejects.toThrow(`is attached to ${foreign} already`);
    expect(await ground.loops()).toEqual([foreign]);
    await run(['losetup', '-d', foreign], 'write');
  });
});
