import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import type { Run } from '../../../src/run/run.ts';
import { simulateDown } from '../../../src/simulator/disk/lifecycle/down.ts';
import { loopDevices } from '../../../src/simulator/disk/state/open-files.ts';
import { simulateStatus } from '../../../src/simulator/disk/lifecycle/status.ts';
import { simulateUp } from '../../../src/simulator/disk/lifecycle/up.ts';
import { ended, freshDirectory } from '../../support/disk/simulator-host.ts';

const run = hostRun({ mmDirectory: '/nowhere' });
const size = 320n * MiB;
const used: string[] = [];

async function fresh(): Promise<string> {
  const dir = await freshDirectory();
  used.push(dir);
  return dir;
}

afterEach(async () => {
  for (const dir of used.splice(0)) {
    if (existsSync(join(dir, 'gpfs-csi-simulator.json'))) {
      await simulateDown({ run, dir, force: true });
    }
    await rm(dir, { recursive: true, force: true });
  }
});

const stateOf = async (dir: string): Promise<string> => (await simulateStatus({ dir })).state;
const devicesIn = (dir: string): readonly string[] =>
  loopDevices().flatMap(({ device, backing }) => (backing.startsWith(dir) ? [device] : []));

/** A Run whose nth change does not happen, or happens and nobody hears of it: up was killed there. */
function brokenAt(n: number, when: 'before' | 'after'): Run {
  let calls = 0;
  return async (argv, kind, options) => {
    if (kind === 'read') return run(argv, kind, options);
    calls += 1;
    if (calls === n && when === 'before') throw new Error('killed');
    const output = await run(argv, kind, options);
    if (calls === n) throw new Error('killed');
    return output;
  };
}

test('up and down can be repeated, and up keeps what is there', async () => {
  const dir = await fresh();
  expect(await stateOf(dir)).toBe('down');
  const made = await simulateUp({ run, dir, size });
  await writeFile(join(made.mount, 'kept'), 'data');
  expect(await simulateUp({ run, dir, size })).toEqual(made);
  expect(await readFile(join(made.mount, 'kept'), 'utf8')).toBe('data');
  expect(devicesIn(dir)).toHaveLength(1);
  expect(await simulateStatus({ dir })).toMatchObject({ state: 'up', reasons: [], damaged: [] });

  await simulateDown({ run, dir });
  await simulateDown({ run, dir });
  expect(existsSync(dir)).toBe(false);
  expect(devicesIn(dir)).toEqual([]);
  expect(await stateOf(dir)).toBe('down');
});

test.each([1, 2, 3].flatMap((n) => [[n, 'before'] as const, [n, 'after'] as const]))(
  'an up that was killed at its command %i (%s) is completed or removed by the next',
  async (n, when) => {
    const dir = await fresh();
    await expect(simulateUp({ run: brokenAt(n, when), dir, size })).rejects.toThrow('killed');
    expect(await stateOf(dir)).toBe('damaged');
    await simulateUp({ run, dir, size });
    expect(await stateOf(dir)).toBe('up');
    await expect(simulateDown({ run: brokenAt(1, when), dir })).rejects.toThrow('killed');
    await simulateDown({ run, dir });
    expect([existsSync(dir), devicesIn(dir)]).toEqual([false, []]);

    const again = await fresh();
    await expect(simulateUp({ run: brokenAt(n, when), dir: again, size })).rejects.toThrow();
    await simulateDown({ run, dir: again });
    expect([existsSync(again), devicesIn(again)]).toEqual([false, []]);
  },
);

test('a mount that was lost is made again with the data in it', async () => {
  const dir = await fresh();
  const made = await simulateUp({ run, dir, size });
  await writeFile(join(made.filesetPath, 'vol'), 'data');
  await ended(join(made.bin, 'mmclone'), ['snap', join(made.filesetPath, 'vol')]);
  await run(['umount', made.mount], 'write');
  expect((await simulateStatus({ dir })).reasons).toEqual([`${made.mount} is not mounted`]);
  expect((await ended(join(made.bin, 'mmclone'), ['show', made.mount])).exitCode).toBe(1);
  await simulateUp({ run, dir, size });
  const shown = await ended(join(made.bin, 'mmclone'), ['show', join(made.filesetPath, 'vol')]);
  expect(shown.stdout).toContain('   yes      0 ');
});

test('a disk image that a container attached which has ended is found and used', async () => {
  const dir = await fresh();
  const made = await simulateUp({ run, dir, size });
  await writeFile(join(made.mount, 'kept'), 'data');
  await run(['umount', made.mount], 'write');
  const [device = ''] = devicesIn(dir);
  await run(['losetup', '-d', device], 'write');
  const attach = 'mount --bind "$1" "$1" && exec losetup -f --show "$1/image.xfs"';
  const image = join(dir, 'image.xfs');
  const [other] = (await run(['unshare', '-m', 'sh', '-c', attach, 'sh', dir], 'write')).split(
    '\n',
  );
  expect(loopDevices()).toContainEqual({ device: other, backing: '/image.xfs' });

  expect(await simulateUp({ run, dir, size })).toEqual(made);
  expect((await run(['losetup', '-n', '-O', 'NAME', '-j', image], 'read')).trim()).toBe(other);
  expect(await readFile(join(made.mount, 'kept'), 'utf8')).toBe('data');
  expect(await stateOf(dir)).toBe('up');
  await simulateDown({ run, dir });
  // Its number may be that of another test's device by now.
  expect(loopDevices()).not.toContainEqual({ device: other, backing: '/image.xfs' });
});

test('the executables also run below a package of modules', async () => {
  const above = await fresh();
  await writeFile(join(above, 'package.json'), '{"type":"module"}');
  const dir = join(above, 'simulator');
  used.unshift(dir);
  const made = await simulateUp({ run, dir, size });
  expect(await ended(join(made.bin, 'mmgetstate'), ['-Y'])).toMatchObject({ exitCode: 0 });
});

test('a directory with anything foreign in it is left alone', async () => {
  const dir = await fresh();
  await writeFile(join(dir, 'letters.txt'), 'dear');
  await expect(simulateUp({ run, dir, size })).rejects.toThrow('letters.txt');
  await expect(simulateDown({ run, dir })).rejects.toThrow('letters.txt');
  expect(await readdir(dir)).toEqual(['letters.txt']);
});

test('what somebody else put into our directory survives the down', async () => {
  const dir = await fresh();
  await simulateUp({ run, dir, size });
  await writeFile(join(dir, 'letters.txt'), 'dear');
  await simulateDown({ run, dir });
  expect(await readdir(dir)).toEqual(['letters.txt']);
});

test('a foreign mount in the place of ours is neither used nor removed', async () => {
  const dir = await fresh();
  const made = await simulateUp({ run, dir, size });
  await run(['umount', made.mount], 'write');
  await run(['mount', '-t', 'tmpfs', 'foreign', made.mount], 'write');
  try {
    await expect(simulateUp({ run, dir, size })).rejects.toThrow('foreign is mounted');
    await expect(simulateDown({ run, dir })).rejects.toThrow('foreign is mounted');
    expect(await stateOf(dir)).toBe('damaged');
  } finally {
    await run(['umount', made.mount], 'write');
  }
});

test('a volume in use keeps the simulator up, unless it is forced', async () => {
  const dir = await fresh();
  const made = await simulateUp({ run, dir, size });
  const volume = join(made.filesetPath, 'vol');
  await writeFile(volume, Buffer.alloc(4 * 1024 * 1024));
  const device = (await run(['losetup', '-f', '--show', volume], 'write')).trim();
  await expect(simulateDown({ run, dir })).rejects.toThrow(device);
  await simulateDown({ run, dir, force: true });
  expect([existsSync(dir), devicesIn(dir)]).toEqual([false, []]);
});

test('a device that goes when its mount goes is not detached by a number that may be another one by then', async () => {
  const dir = await fresh();
  const made = await simulateUp({ run, dir, size: 1024n * MiB });
  const volume = join(made.filesetPath, 'vol');
  await writeFile(volume, Buffer.alloc(4 * 1024 * 1024));
  await run(['mkfs.ext4', '-q', volume], 'write', { rights: 'all' });
  const device = (await run(['losetup', '-f', '--show', volume], 'write')).trim();
  const staging = await fresh();
  await run(['mount', device, staging], 'write');
  await run(['losetup', '-d', device], 'write');
  const detached: (string | undefined)[] = [];
  const recording: Run = (argv, kind, options) => {
    if (argv[0] === 'losetup' && argv[1] === '-d') detached.push(argv[2]);
    return run(argv, kind, options);
  };
  const [own] = loopDevices().filter(({ backing }) => backing === join(dir, 'image.xfs'));
  await simulateDown({ run: recording, dir, force: true });
  expect(detached).toEqual([own?.device]);
  expect(devicesIn(dir)).toEqual([]);
});

test('settings are checked by name and value, and kept over a second up', async () => {
  const dir = await fresh();
  await expect(simulateUp({ run, dir, size, personality: { colour: 1 } })).rejects.toThrow(
    'no setting colour',
  );
  await expect(simulateUp({ run, dir, size: 1n * MiB })).rejects.toThrow('at least 300 MiB');
  const made = await simulateUp({ run, dir, size, personality: { release: '6.0' } });
  await simulateUp({ run, dir, size, personality: { daemon: 'down' } });
  const state = await ended(join(made.bin, 'mmgetstate'), ['-Y']);
  expect(state.stdout).toContain(':down:');
  expect(state.stdout).toContain('daemonNodeName');
  await mkdir(join(dir, 'x'));
});

test('down waits for a process that only looks, and names who stays', async () => {
  const dir = await fresh();
  const { mount } = await simulateUp({ run, dir, size });
  const long = spawn('sleep', ['1000'], { cwd: mount });
  await once(long, 'spawn');
  try {
    await expect(simulateDown({ run, dir })).rejects.toThrow(
      `${mount} cannot be unmounted: process ${String(long.pid)} (sleep) uses it; end that`,
    );
    expect(await stateOf(dir)).toBe('up');
  } finally {
    long.kill();
    await once(long, 'exit');
  }
  const next = spawn('sleep', ['0.3'], { cwd: mount });
  await once(next, 'spawn');
  await simulateDown({ run, dir });
  expect(await stateOf(dir)).toBe('down');
});

test('a second up replaces what commands read at their start whole, never under them', async () => {
  const dir = await fresh();
  const { bin } = await simulateUp({ run, dir, size });
  const inodes = async () => {
    const names = await readdir(bin);
    const found = await Promise.all(names.map(async (name) => (await stat(join(bin, name))).ino));
    return new Map(names.map((name, n) => [name, found[n]]));
  };
  const before = await inodes();
  await simulateUp({ run, dir, size, personality: { full: true } });
  const after = await inodes();
  expect([...after.keys()]).toEqual([...before.keys()]);
  expect([...after].filter(([name, inode]) => before.get(name) === inode)).toEqual([]);
});
