import { open, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { DriverError } from '../../../src/model/fault.ts';
import { hostFiles } from '../../../src/run/host-files.ts';
import { onGround } from '../../support/node/suite.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { hangAt } from '../../support/memory/hung.ts';
import { deviceSize } from '../../../src/linux/sysblock.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const published = async (capability = mountAs('ext4'), bytes = 512n * MiB) => {
  const ready = await ground.ready(capability, bytes);
  await ground.node.stage(ready.ask);
  await ground.node.publish(publishAsk(ready.ask, ready.pod));
  const done = async () => {
    await ground.node.unpublish(ready.volume.id, ready.pod);
    await ground.node.unstage(ready.volume.id, ready.ask.stagingPath);
  };
  return { ...ready, done };
};

const sizeOf = async (device: string) => {
  const handle = await open(device, 'r');
  try {
    const { bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, Number(640n * MiB) - 1);
    return bytesRead;
  } finally {
    await handle.close();
  }
};

describe('stats', () => {
  test.each(['ext4', 'xfs', 'btrfs'])('case 89: bytes and inodes of %s add up', async (fsType) => {
    const { volume, ask, pod, done } = await published(mountAs(fsType));
    for (const path of [pod, ask.stagingPath]) {
      const usages = await ground.node.stats(volume.id, path);
      // btrfs has no count of its inodes.
      const units = fsType === 'btrfs' ? ['bytes'] : ['bytes', 'inodes'];
      expect(usages.map(({ unit }) => unit)).toEqual(units);
      for (const { total, used = 0n, available = 0n } of usages) {
        expect(total).toBeGreaterThan(0n);
        expect(used).toBeGreaterThan(0n);
        expect(used + available).toBeLessThanOrEqual(total);
      }
    }
    await done();
  });

  test('case 89: a block volume has a total only', async () => {
    const { volume, pod, done } = await published(blockAs(), 64n * MiB);
    expect(await ground.node.stats(volume.id, pod)).toEqual([{ unit: 'bytes', total: 64n * MiB }]);
    await done();
  });

  test.each([
    ['as the kubelet does', 'bind'],
    ['by a symbolic link', 'link'],
    ['by a node of its own', 'node'],
  ])('a block volume is found at any path that shows its device, %s', async (_, how) => {
    const { volume, pod, done } = await published(blockAs(), 64n * MiB);
    const path = join(await ground.place(`volumeDevices/pv-${how}/dev`), 'uid');
    const [loop = ''] = await ground.loops();
    if (how === 'link') await symlink(pod, path);
    if (how === 'node')
      await run(['mknod', path, 'b', '7', loop.replace('/dev/loop', '')], 'write');
    if (how === 'bind') {
      await writeFile(path, '');
      await run(['mount', '--bind', pod, path], 'write');
    }
    expect(await ground.node.stats(volume.id, path)).toEqual([{ unit: 'bytes', total: 64n * MiB }]);
    const other = await published(blockAs(), 64n * MiB);
    await expect(ground.node.stats(other.volume.id, path)).rejects.toEqual(fault('path-missing'));
    await other.done();
    if (how === 'bind') await run(['umount', path], 'write');
    await run(['rm', path], 'write');
    await done();
  });

  test('a file system is found at any path where it is mounted', async () => {
    const { volume, pod, done } = await published();
    const path = await ground.place('elsewhere');
    await run(['mount', '--bind', pod, path], 'write');
    expect(await ground.node.stats(volume.id, path)).toHaveLength(2);
    await run(['umount', path], 'write');
    await expect(ground.node.stats(volume.id, path)).rejects.toEqual(fault('path-missing'));
    await done();
  });

  test('a path where the volume is not, relative or unmounted, is missing', async () => {
    const { volume, ask, pod, done } = await published();
    for (const path of ['some/path', '/', join(pod, 'sub')])
      await expect(ground.node.stats(volume.id, path)).rejects.toEqual(fault('path-missing'));
    await done();
    await expect(ground.node.stats(volume.id, pod)).rejects.toEqual(fault('path-missing'));
    await expect(ground.node.stats('fake-vol-id', 'some/path')).rejects.toEqual(
      fault('volume-missing'),
    );
    await expect(ground.node.stats(volume.id, ask.stagingPath)).rejects.toEqual(
      fault('path-missing'),
    );
  });

  test('case 90: a file system that hangs is unavailable within its time, and holds up nothing else', async () => {
    const { volume, pod, done } = await published();
    const directory = await ground.place('hung');
    const hung = await hangAt(directory);
    try {
      // The look goes where the kernel really does not answer: each takes one of the few threads for files.
      const files = hostFiles();
      const hanging = { ...files, space: () => files.space(directory) };
      const node = ground.restarted({ files: hanging, limits: { statfsMs: 100 } });
      const all = Array.from({ length: 32 }, () => node.stats(volume.id, pod));
      for (const answer of await Promise.allSettled(all))
        expect(answer).toMatchObject({ status: 'rejected', reason: fault('unavailable') });
      expect(await ground.node.stats(volume.id, pod)).toHaveLength(2);
      await done();
    } finally {
      await hung.end();
    }
  });
});

describe('expand', () => {
  test.each(['xfs', 'btrfs'])('case 67: %s grows while a pod uses it', async (fsType) => {
    const { volume, pod, done } = await published(mountAs(fsType));
    await writeFile(join(pod, 'kept'), 'data');
    await ground.grow(volume, 1024n * MiB);
    const grown = await ground.node.expand(volume.id, pod, undefined);
    expect(grown).toBe(1024n * MiB);
    expect(await ground.node.expand(volume.id, pod, undefined)).toBe(1024n * MiB);
    const [bytes] = await ground.node.stats(volume.id, pod);
    expect(bytes?.total).toBeGreaterThan(900n * MiB);
    expect(await readFile(join(pod, 'kept'), 'utf8')).toBe('data');
    await done();
  });

  test('case 67: ext4 grows now where the kernel lets us, else at the next stage, and says so', async () => {
    const { volume, ask, pod, done } = await published();
    await ground.grow(volume, 1024n * MiB);
    const answer = await ground.node
      .expand(volume.id, pod, undefined)
      .catch((error: unknown) => error);
    if (answer instanceof DriverError) {
      expect(answer).toEqual(fault('wrong-state'));
      expect(answer.message).toContain('grown when the volume is staged next');
      await done();
      await ground.node.stage(ask);
      await ground.node.publish(publishAsk(ask, pod));
    }
    expect(await ground.node.expand(volume.id, pod, undefined)).toBe(1024n * MiB);
    const [bytes] = await ground.node.stats(volume.id, pod);
    expect(bytes?.total).toBeGreaterThan(900n * MiB);
    await done();
  });

  test('case 67: a block volume takes the new size, its read-only publication too', async () => {
    const { volume, ask, pod, done } = await published(blockAs('SINGLE_NODE_MULTI_WRITER'));
    await ground.node.publish(publishAsk(ask, `${pod}-ro`, true));
    await ground.grow(volume, 640n * MiB);
    expect(await ground.node.expand(volume.id, pod, undefined)).toBe(640n * MiB);
    expect(await sizeOf(pod)).toBe(1);
    expect(await sizeOf(`${pod}-ro`)).toBe(1);
    await ground.node.unpublish(volume.id, `${pod}-ro`);
    await done();
  });

  test('case 65: a limit below the size, and a size the controller has not given, are out of range', async () => {
    const { volume, pod, done } = await published();
    for (const range of [
      { requiredBytes: 0n, limitBytes: 64n * MiB },
      { requiredBytes: 1024n * MiB, limitBytes: 0n },
    ])
      await expect(ground.node.expand(volume.id, pod, range)).rejects.toEqual(
        fault('size-out-of-range'),
      );
    const smaller = { requiredBytes: 64n * MiB, limitBytes: 0n };
    expect(await ground.node.expand(volume.id, pod, smaller)).toBe(512n * MiB);
    await done();
  });

  test('case 91: unknown volumes and paths are missing', async () => {
    const { volume, done } = await published();
    await expect(ground.node.expand(volume.id, 'some/path', undefined)).rejects.toEqual(
      fault('path-missing'),
    );
    await expect(ground.node.expand('fake-vol-id', '/x', undefined)).rejects.toEqual(
      fault('volume-missing'),
    );
    await done();
  });

  test('a capability of the other kind is malformed, and the volume stays as it is', async () => {
    const { volume, pod, done } = await published();
    await ground.grow(volume, 640n * MiB);
    await expect(ground.node.expand(volume.id, pod, undefined, 'block')).rejects.toEqual(
      fault('invalid-request'),
    );
    const [loop = ''] = await ground.loops();
    expect(await deviceSize(loop)).toBe(512n * MiB);
    await done();
  });

  test('a file that does not show its new size here is waited for, then reported', async () => {
    const { volume, pod, done } = await published();
    await ground.store.volumes.update(volume.local, (record) => ({
      ...record,
      bytes: 1024n * MiB,
    }));
    await expect(ground.node.expand(volume.id, pod, undefined)).rejects.toEqual(
      fault('unavailable'),
    );
    await done();
  });

  test('an image that was cut shorter is never taken over', async () => {
    const { volume, ask, pod, done } = await published(blockAs(), 64n * MiB);
    await ground.store.volumes.update(volume.local, (record) => ({ ...record, bytes: 32n * MiB }));
    await truncate(volume.image, Number(48n * MiB));
    await expect(ground.node.expand(volume.id, pod, undefined)).rejects.toThrow('its end is lost');
    const [loop = ''] = await ground.loops();
    expect(await deviceSize(loop)).toBe(64n * MiB);
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
    await done();
  });

  test('a pod that holds the device open sees the new size', async () => {
    const { volume, pod, done } = await published(blockAs(), 512n * MiB);
    const holder = await open(pod, 'r+');
    await ground.grow(volume, 640n * MiB);
    expect(await ground.node.expand(volume.id, pod, undefined)).toBe(640n * MiB);
    const at = Number(640n * MiB) - 4096;
    expect((await holder.write(Buffer.alloc(4096, 'x'), 0, 4096, at)).bytesWritten).toBe(4096);
    await holder.sync();
    await holder.close();
    await done();
  });

  test('a device that does not take the new size is an error, never success', async () => {
    const { volume, pod, done } = await published(mountAs('xfs'));
    await ground.grow(volume, 1024n * MiB);
    const deaf: Run = (argv, kind, options) =>
      argv[1] === '-c' ? Promise.resolve('') : run(argv, kind, options);
    await expect(ground.restarted({ run: deaf }).expand(volume.id, pod, undefined)).rejects.toThrow(
      'try again',
    );
    await done();
  });

  test('a read-only mount is grown at the next stage', async () => {
    const { volume, pod, done } = await published(mountAs('xfs', 'SINGLE_NODE_READER_ONLY'));
    await ground.grow(volume, 1024n * MiB);
    await expect(ground.node.expand(volume.id, pod, undefined)).rejects.toThrow('read-only');
    await done();
  });
});

describe('while the shared file system is down', () => {
  const down = () => Promise.reject(new DriverError('unavailable', 'root /gpfs/v is not mounted'));

  test('pods are unpublished, stats answer, and an unstage is finished afterwards', async () => {
    const { volume, ask, pod } = await published();
    const node = ground.restarted({ roots: { byId: down } });
    expect(await node.stats(volume.id, pod)).toHaveLength(2);
    await expect(node.publish(publishAsk(ask, pod))).rejects.toEqual(fault('unavailable'));
    await expect(node.stage(ask)).rejects.toEqual(fault('unavailable'));
    await node.unpublish(volume.id, pod);
    await expect(node.unstage(volume.id, ask.stagingPath)).rejects.toEqual(fault('unavailable'));
    expect(await ground.loops()).toEqual([]);
    expect(await ground.marks()).toHaveLength(1);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});
