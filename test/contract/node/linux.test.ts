import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { blkid, looksBlank } from '../../../src/linux/blkid.ts';
import { growfs } from '../../../src/linux/growfs.ts';
import { sameFile } from '../../../src/linux/loop.ts';
import { losetup } from '../../../src/linux/losetup.ts';
import { mkfs } from '../../../src/linux/mkfs.ts';
import { mounter } from '../../../src/linux/mount.ts';
import { superblock } from '../../../src/linux/disk-head.ts';
import { deviceNumber, deviceSize, loopState, nodeIn } from '../../../src/linux/sysblock.ts';
import { systemClock } from '../../../src/run/clock.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { hostFiles, hostMounts } from '../../../src/run/host-files.ts';
import { CommandFailed, type Run } from '../../../src/run/run.ts';
import { fault } from '../../support/node/requests.ts';

const run = hostRun({ mmDirectory: '/nonexistent' });
const loops = losetup(run, systemClock);
const mounts = mounter(run, hostMounts());
const files = hostFiles();

let directory: string;
let image: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'linux-'));
  image = join(directory, 'image');
  await writeFile(image, '');
  await truncate(image, Number(320n * MiB));
});

afterEach(async () => {
  const left = (await hostMounts()()).filter(({ point }) => point.startsWith(`${directory}/`));
  for (const { point } of left.reverse()) await run(['umount', point], 'write');
  for (const loop of await loopsOf(image)) await loops.detach(loop);
  await rm(directory, { recursive: true });
});

const loopsOf = async (file: string) => {
  const { device, inode } = await files.stat(file);
  return loops.loopsOf({ device, inode }, file);
};

const directoryFor = async (name: string) => {
  const path = join(directory, name);
  await run(['mkdir', path], 'write');
  return path;
};

describe('losetup', () => {
  test('an attachment has direct I/O, sectors of 4096 bytes and the size of its file', async () => {
    const loop = await loops.attach(image, { readonly: false });
    expect(await loopState(loop.path)).toMatchObject({
      directIo: true,
      sectorBytes: 4096,
      size: 320n * MiB,
      readonly: false,
      backingFile: image,
    });
    expect(await loopsOf(image)).toEqual([loop]);
    await loops.detach(loop);
    await loops.detach(loop);
    // The number of the device may be given to another file at once, by any process on this machine.
    expect((await loopState(loop.path))?.diskseq).not.toBe(loop.diskseq);
    expect(await loopsOf(image)).toEqual([]);
  });

  test('a device has the size of a file that an expansion makes larger meanwhile', async () => {
    const growing: Run = async (argv, ...rest) => {
      const printed = await run(argv, ...rest);
      if (argv.includes('--show')) await truncate(image, Number(400n * MiB));
      return printed;
    };
    const loop = await losetup(growing, systemClock).attach(image, { readonly: false });
    expect(await deviceSize(loop.path)).toBe(400n * MiB);
  });

  test('a file is found by device and inode, under any name', async () => {
    const loop = await loops.attach(image, { readonly: false });
    const other = join(directory, 'other');
    await run(['ln', image, other], 'write');
    expect(await loopsOf(other)).toEqual([loop]);
    await run(['cp', '--sparse=always', image, `${image}-copy`], 'write');
    expect(await loopsOf(`${image}-copy`)).toEqual([]);
  });

  test('two attachments of one file are distinguished, also on the same device one after the other', async () => {
    const first = await loops.attach(image, { readonly: false });
    const second = await loops.attach(image, { readonly: true });
    expect(second.readonly).toBe(true);
    expect(sameFile(first.backing, second.backing)).toBe(true);
    await loops.detach(first);
    const third = await loops.attach(image, { readonly: false });
    expect(await loops.isAttached(first)).toBe(false);
    expect(await loops.isAttached(third)).toBe(true);
    // The device may be the same; an old handle must not take the new attachment away.
    await loops.detach(first);
    expect(await loops.isAttached(third)).toBe(true);
  });

  test('a file whose end the device would cut off is refused and nothing stays attached', async () => {
    await truncate(image, Number(320n * MiB) + 100);
    await expect(loops.attach(image, { readonly: false })).rejects.toEqual(fault('command-failed'));
    expect(await loopsOf(image)).toEqual([]);
  });

  test('buffered I/O is noticed and undone', async () => {
    const buffered: Run = (argv, kind, options) =>
      run(argv.filter((word) => word !== '--direct-io=on') as [string], kind, options);
    const attempt = losetup(buffered, systemClock).attach(image, { readonly: false });
    await expect(attempt).rejects.toThrow('does not use direct I/O');
    expect(await loopsOf(image)).toEqual([]);
  });

  test('a device that is free no more is tried again, and no longer than is sensible', async () => {
    let refusals = 2;
    const busy: Run = (argv, kind, options) => {
      if (!argv.includes('--show') || refusals === 0) return run(argv, kind, options);
      refusals -= 1;
      const stderr = 'losetup: failed to set up loop device: Device or resource busy';
      return Promise.reject(new CommandFailed({ argv, exitCode: 1, stdout: '', stderr }));
    };
    const loop = await losetup(busy, systemClock).attach(image, { readonly: false });
    expect(refusals).toBe(0);
    await loops.detach(loop);
    refusals = 1_000;
    await expect(losetup(busy, systemClock).attach(image, { readonly: false })).rejects.toEqual(
      fault('command-failed'),
    );
  });

  // As losetup of util-linux names the free device up to 2.39, and from 2.40 on.
  test.each(['', ' (lost)'])(
    'a /dev without the node of the free device gets it%s',
    async (lost) => {
      const made: string[] = [];
      const without: Run = (argv, kind, options) => {
        if (argv[0] === 'mknod') {
          made.push(argv.slice(1).join(' '));
          return Promise.resolve('');
        }
        if (argv.join(' ') === 'losetup -f') return Promise.resolve(`/dev/loop99999${lost}\n`);
        if (!argv.includes('--show') || made.length > 0) return run(argv, kind, options);
        const stderr = 'losetup: failed to set up loop device: No such file or directory';
        return Promise.reject(new CommandFailed({ argv, exitCode: 1, stdout: '', stderr }));
      };
      await losetup(without, systemClock).attach(image, { readonly: false });
      expect(made).toEqual(['/dev/loop99999 b 7 99999']);
    },
  );

  test.each(['is free', 'has another file'])(
    'a device that was detached by somebody else at once, and %s now, is left as it is',
    async (now) => {
      const other = join(directory, 'other');
      await writeFile(other, Buffer.alloc(Number(MiB)));
      const attachOther = (path: string) =>
        run(['losetup', path, other], 'write').then(
          () => true,
          () => false,
        );
      // Another process may be given the free device before us: then once more.
      const lost: Run = async (argv, kind, options) => {
        const path = (await run(argv, kind, options)).trim();
        if (!argv.includes('--show')) return path;
        await run(['losetup', '-d', path], 'write');
        if (now === 'is free' || (await attachOther(path))) return path;
        return lost(argv, kind, options);
      };
      const attempt = losetup(lost, systemClock).attach(image, { readonly: false });
      await expect(attempt).rejects.toThrow('was detached from');
      expect(await loopsOf(image)).toEqual([]);
      const others = await loopsOf(other);
      expect(others).toHaveLength(now === 'is free' ? 0 : 1);
      for (const each of others) await loops.detach(each);
    },
  );

  test('a device that a process holds open is not reported as gone', async () => {
    const loop = await loops.attach(image, { readonly: false });
    const holder = await open(loop.path, 'r');
    await expect(loops.detach(loop)).rejects.toEqual(fault('in-use'));
    await holder.close();
    await loops.detach(loop);
    expect(await loopsOf(image)).toEqual([]);
  });

  test('a file that grew is taken over', async () => {
    const loop = await loops.attach(image, { readonly: false });
    await truncate(image, Number(400n * MiB));
    expect(await deviceSize(loop.path)).toBe(320n * MiB);
    expect(await loops.refresh(loop)).toBe(400n * MiB);
    expect(await loops.isAttached(loop)).toBe(true);
  });
});

describe('file systems', () => {
  test.each(['ext4', 'xfs', 'btrfs'] as const)(
    '%s is made, found, mounted and unmounted',
    async (type) => {
      const loop = await loops.attach(image, { readonly: false });
      expect(await blkid(run).probe(loop.path)).toEqual({ kind: 'nothing' });
      expect(await looksBlank(loop.path)).toBe(true);
      await mkfs(run)(loop.path, type, { size: 320n * MiB, again: false });
      expect(await blkid(run).probe(loop.path)).toEqual({ kind: 'filesystem', type });
      expect(await looksBlank(loop.path)).toBe(false);
      expect(await superblock(loop.path)).toMatchObject({ type, bytes: 320n * MiB });
      const point = await directoryFor('point');
      await mounts.mount(loop.path, point, type, ['noatime']);
      const name = type === 'btrfs' ? basename(loop.path) : 'none';
      const number = await deviceNumber(loop.path);
      const device = { number, name, nodeIn: await nodeIn(loop.path) };
      expect((await mounts.of(device)).map((mount) => mount.point)).toEqual([point]);
      await mounts.unmount(point);
      await mounts.unmount(point);
      expect(await mounts.at(point)).toEqual([]);
    },
  );

  test('xfs does not overwrite what is there unless it is an attempt of ours', async () => {
    const loop = await loops.attach(image, { readonly: false });
    await mkfs(run)(loop.path, 'ext4', { size: 320n * MiB, again: false });
    await expect(mkfs(run)(loop.path, 'xfs', { size: 320n * MiB, again: false })).rejects.toEqual(
      fault('command-failed'),
    );
    await mkfs(run)(loop.path, 'xfs', { size: 320n * MiB, again: true });
    expect(await superblock(loop.path)).toMatchObject({ type: 'xfs' });
  });

  test('ext4 grows offline, and online where the kernel permits', async () => {
    const loop = await loops.attach(image, { readonly: false });
    await mkfs(run)(loop.path, 'ext4', { size: 320n * MiB, again: false });
    await truncate(image, Number(640n * MiB));
    await loops.refresh(loop);
    await growfs(run).ext4Offline(loop.path);
    expect(await superblock(loop.path)).toMatchObject({ type: 'ext4', bytes: 640n * MiB });
    const point = await directoryFor('point');
    await mounts.mount(loop.path, point, 'ext4', []);
    await truncate(image, Number(800n * MiB));
    await loops.refresh(loop);
    const answer = await growfs(run).ext4Online(loop.path);
    const bytes = answer === 'grown' ? 800n * MiB : 640n * MiB;
    expect(await superblock(loop.path)).toMatchObject({ type: 'ext4', bytes });
  });

  test('xfs grows while it is mounted; again is fine', async () => {
    const loop = await loops.attach(image, { readonly: false });
    await mkfs(run)(loop.path, 'xfs', { size: 320n * MiB, again: false });
    const point = await directoryFor('point');
    await mounts.mount(loop.path, point, 'xfs', ['nouuid']);
    await truncate(image, Number(640n * MiB));
    await loops.refresh(loop);
    expect(await growfs(run).xfs(point)).toBe(640n * MiB);
    expect(await growfs(run).xfs(point)).toBe(640n * MiB);
  });
});

describe('mounts', () => {
  test('a stack of binds is taken off to the last', async () => {
    const point = await directoryFor('a b\nc');
    const source = await directoryFor('source');
    await mounts.bind(source, point, { readonly: false });
    await mounts.bind(source, point, { readonly: true });
    expect(await mounts.at(point)).toHaveLength(2);
    await mounts.unmount(point);
    expect(await mounts.at(point)).toEqual([]);
  });

  test('a mount in use is reported as in use', async () => {
    const point = await directoryFor('point');
    await run(['mount', '-t', 'tmpfs', 'tmpfs', point], 'write');
    await writeFile(join(point, 'held'), '');
    const holder = await open(join(point, 'held'), 'r');
    await expect(mounts.unmount(point)).rejects.toEqual(fault('in-use'));
    await holder.close();
    await mounts.unmount(point);
  });

  test('the node of a device bound to a file is recognised', async () => {
    const loop = await loops.attach(image, { readonly: false });
    const point = join(directory, 'node');
    await writeFile(point, '');
    await mounts.bind(loop.path, point, { readonly: false });
    const name = loop.path.replace('/dev/', '');
    const number = await deviceNumber(loop.path);
    const found = await mounts.of({ number, name, nodeIn: await nodeIn(loop.path) });
    expect(found.map((mount) => mount.point)).toEqual([point]);
    await mounts.unmount(point);
  });
});
