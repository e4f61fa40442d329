import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { fileKey } from '../../../src/model/ids.ts';
import { blockAs, fault, mountAs, publishAsk, stageAsk } from '../../support/node/requests.ts';
import { run, self, type Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

describe('two nodes that share one kernel', () => {
  test('each has a device of its own and leaves that of the other alone', async () => {
    const { volume, ask } = await ground.ready(blockAs('MULTI_NODE_MULTI_WRITER'), 64n * MiB);
    const other = ground.restarted({
      self: { ...self, node: 'node-b', machineId: 'machine-b' },
      stateDirectory: join(ground.directory, 'state-b'),
    });
    await ground.attach(volume, ask.capability, false, ['node-a', 'node-b']);
    const otherAsk = stageAsk(volume, await ground.place('staging-b'), ask.capability);
    await ground.node.stage(ask);
    await other.stage(otherAsk);
    await other.stage(otherAsk);
    expect(await ground.loops()).toHaveLength(2);
    expect(await ground.marks()).toHaveLength(2);
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await ground.loops()).toHaveLength(1);
    expect(await other.stats(volume.id, otherAsk.stagingPath)).toHaveLength(1);
    await other.unstage(volume.id, otherAsk.stagingPath);
  });
});

describe('at start', () => {
  test('nothing is touched that is in order', async () => {
    const { volume, ask, pod } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    const restarted = ground.restarted();
    expect(await restarted.reconcile()).toEqual([]);
    expect(await restarted.stats(volume.id, pod)).toHaveLength(2);
    await restarted.unpublish(volume.id, pod);
    await restarted.unstage(volume.id, ask.stagingPath);
  });

  test('volumes of an earlier boot are forgotten, with their marks', async () => {
    const { volume, ask } = await ground.ready(blockAs(), 64n * MiB);
    await ground.node.stage(ask);
    for (const loop of await ground.loops()) await run(['losetup', '-d', loop], 'write');
    const rebooted = ground.restarted({ self: { ...self, bootId: 'boot-2' } });
    expect(await rebooted.reconcile()).toEqual([
      `volume ${volume.id} was in use here before the machine booted, and is no longer`,
    ]);
    expect(await rebooted.reconcile()).toEqual([]);
  });

  test('what uses an older image is taken down', async () => {
    const { volume, ask, pod } = await ground.ready(mountAs('xfs'));
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    const key = fileKey(volume.local, 2, 'abcdef03');
    await ground.store.volumes.update(volume.local, (record) => ({
      ...record,
      image: { key, inode: 1n },
    }));
    const [finding] = await ground.restarted().reconcile();
    expect(finding).toContain('was given a new image while it was staged here');
    expect(await ground.loops()).toEqual([]);
    await ground.node.unpublish(volume.id, pod);
  });

  test('an image that was deleted under its device is reported, not taken down', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    await ground.store.files.unlink(volume.image);
    const [finding] = await ground.restarted().reconcile();
    expect(finding).toContain('was deleted while it is in use here');
    expect(await ground.mountPoints()).toEqual([ask.stagingPath]);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('a record of this node that cannot be read', () => {
  test('is reported with its path and left as it is; other volumes keep working', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const other = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    const path = join(ground.directory, 'state', 'volumes', `${volume.id}.json`);
    const text = await readFile(path, 'utf8');
    await writeFile(path, '{"format": 9}');
    for (const call of [
      () => ground.node.stage(ask),
      () => ground.node.unstage(volume.id, ask.stagingPath),
      () => ground.node.stats(volume.id, ask.stagingPath),
    ])
      await expect(call()).rejects.toEqual(fault('unreadable-record'));
    await expect(ground.node.stage(ask)).rejects.toThrow(path);
    expect(await readFile(path, 'utf8')).toBe('{"format": 9}');
    await ground.node.stage(other.ask);
    await ground.node.unstage(other.volume.id, other.ask.stagingPath);
    await writeFile(path, text);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});
