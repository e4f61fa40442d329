import {
  appendFile,
  lstat,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GiB } from '../../../src/model/bytes.ts';
import { errnoOf, type Files } from '../../../src/run/files.ts';
import { hostFiles } from '../../../src/run/host-files.ts';
import { findSimulator } from '../../../src/simulator/disk/lifecycle/find.ts';
import { simulatedFiles } from '../../../src/simulator/disk/files.ts';
import { simulateStatus } from '../../../src/simulator/disk/lifecycle/status.ts';
import { simulateUp } from '../../../src/simulator/disk/lifecycle/up.ts';
import {
  ended,
  testSimulator,
  type Ended,
  type TestSimulator,
} from '../../support/disk/simulator-host.ts';

let simulator: TestSimulator;
let files: Files;
let count = 0;

beforeAll(async () => {
  simulator = await testSimulator();
  files = simulatedFiles(hostFiles(), simulator);
});
afterAll(() => simulator.down());

const program = (name: string, ...args: string[]): Promise<Ended> =>
  ended(join(simulator.bin, name), args);
const mmclone = (...args: string[]): Promise<Ended> => program('mmclone', ...args);
const done = { stdout: '', stderr: '', exitCode: 0 };
const refused = (text: string): Ended => ({ stdout: '', stderr: `${text}\n`, exitCode: 1 });

/** A directory of its own with a volume of two blocks in it. */
async function withVolume(): Promise<(name: string) => string> {
  count += 1;
  const directory = join(simulator.filesetPath, `t${count}`);
  await mkdir(directory);
  const at = (name: string): string => join(directory, name);
  await writeFile(at('vol'), Buffer.concat([Buffer.alloc(8192, 'a'), Buffer.alloc(8192, 'b')]));
  return at;
}

async function writeByte(path: string, offset: number, text: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(text, offset);
}

const firstByte = async (path: string): Promise<string> => (await readFile(path, 'utf8')).charAt(0);
const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(() => 'no failure', errnoOf);

describe('real bytes', () => {
  test('a snapshot and its clones share blocks until they are written', async () => {
    const at = await withVolume();
    const before = await lstat(at('vol'));
    expect(await mmclone('snap', at('vol'), at('snap'))).toEqual(done);
    await writeByte(at('vol'), 0, 'v');
    expect(await mmclone('copy', at('snap'), at('clone'))).toEqual(done);
    await writeByte(at('clone'), 0, 'c');
    expect(await Promise.all(['vol', 'snap', 'clone'].map((name) => firstByte(at(name))))).toEqual([
      'v',
      'a',
      'c',
    ]);
    expect((await lstat(at('vol'))).ino).toBe(before.ino);
    expect((await lstat(at('snap'))).nlink).toBe(3);
    expect((await lstat(at('vol'))).nlink).toBe(1);
  });

  test('a snapshot of a sparse TiB shares its space', async () => {
    const at = await withVolume();
    await files.createSparse(at('big'), 1024n * GiB, 0o660);
    expect(await mmclone('snap', at('big'), at('snap'))).toEqual(done);
    expect(await files.stat(at('snap'))).toMatchObject({
      size: 1024n * GiB,
      mode: 0o660,
      links: 2,
    });
  });

  test('relative names work, and are shown as they were given', async () => {
    const at = await withVolume();
    const cwd = join(at('vol'), '..');
    await ended(join(simulator.bin, 'mmclone'), ['snap', 'vol', 'snap'], { cwd });
    const shown = await ended(join(simulator.bin, 'mmclone'), ['show', 'snap'], { cwd });
    expect(shown.stdout.split('\n')[2]).toBe('   yes      0                  snap');
  });
});

describe('removal', () => {
  test('rm refuses a parent until its last clone is gone', async () => {
    const at = await withVolume();
    await mmclone('snap', at('vol'), at('snap'));
    const complaint = `rm: cannot remove '${at('snap')}': Read-only file system`;
    expect(await program('rm', '-f', at('snap'))).toEqual(refused(complaint));
    expect(await program('rm', at('vol'))).toEqual(done);
    expect((await lstat(at('snap'))).nlink).toBe(1);
    expect(await program('rm', at('snap'))).toEqual(done);
  });

  test.each([
    ['rm', (_: string, path: string) => program('rm', path)],
    [
      'another file that takes its name',
      (other: string, path: string) => program('mv', other, path),
    ],
    ['the driver', (_: string, path: string) => files.unlink(path)],
    ['a program that knows no GPFS', (_: string, path: string) => unlink(path)],
  ])(
    'a file under a loop device keeps its parent when its name is taken by %s',
    async (_, takeName) => {
      const at = await withVolume();
      await writeFile(at('other'), 'other');
      await mmclone('snap', at('vol'), at('snap'));
      const attach = ['losetup', '-f', '--show', at('vol')] as const;
      const device = (await simulator.run(attach, 'write')).trim();
      try {
        await takeName(at('other'), at('vol'));
        const complaint = `rm: cannot remove '${at('snap')}': Read-only file system`;
        expect(await program('rm', '-f', at('snap'))).toEqual(refused(complaint));
        expect(await codeOf(files.unlink(at('snap')))).toBe('EROFS');
        await writeByte(device, 0, 'v');
        expect([await firstByte(device), await firstByte(at('snap'))]).toEqual(['v', 'a']);
      } finally {
        await simulator.run(['losetup', '-d', device], 'write');
      }
      expect(await program('rm', at('snap'))).toEqual(done);
      expect(await simulateStatus(simulator)).toMatchObject({ state: 'up', damaged: [] });
    },
  );

  test('mv moves a parent, and refuses to replace one', async () => {
    const at = await withVolume();
    await mmclone('snap', at('vol'), at('snap'));
    expect(await program('mv', at('snap'), at('snap.ts'))).toEqual(done);
    await writeFile(at('other'), '');
    expect(await program('mv', at('other'), at('snap.ts'))).toEqual(
      refused(`mv: cannot move '${at('other')}' to '${at('snap.ts')}': Read-only file system`),
    );
    expect((await mmclone('copy', at('snap.ts'), at('clone'))).exitCode).toBe(0);
  });

  test('a clone that other programs removed is noticed when its parent is to go', async () => {
    const at = await withVolume();
    await mmclone('snap', at('vol'), at('snap'));
    await rename(at('vol'), at('moved'));
    expect((await program('rm', at('snap'))).exitCode).toBe(1);
    await unlink(at('moved'));
    expect(await program('rm', at('snap'))).toEqual(done);
  });

  test('the driver reads the same refusals from its Files', async () => {
    const at = await withVolume();
    await mmclone('snap', at('vol'), at('snap'));
    expect(await codeOf(files.unlink(at('snap')))).toBe('EROFS');
    expect(await codeOf(files.grow(at('snap'), GiB))).toBe('EROFS');
    expect(await codeOf(files.rename(at('vol'), at('snap')))).toBe('EROFS');
    expect(await codeOf(files.link(at('vol'), join(simulator.mount, 'x')))).toBe('EXDEV');
    await files.chmod(at('snap'), 0o640);
    await files.touch(at('snap'));
    await files.rename(at('snap'), at('tombstone'));
    await files.unlink(at('vol'));
    expect((await files.stat(at('tombstone'))).links).toBe(1);
    await files.unlink(at('tombstone'));
    expect(await simulateStatus(simulator)).toMatchObject({ state: 'up', damaged: [] });
  });
});

describe('other commands', () => {
  test('the mount table name of the device is known as well', async () => {
    const mounts = await readFile('/proc/self/mountinfo', 'utf8');
    const line = mounts.split('\n').find((text) => text.includes(` ${simulator.mount} `)) ?? '';
    const source = line.split(' - ')[1]?.split(' ')[1] ?? '';
    expect((await program('mmlsfs', source, '-Y')).stdout).toContain('mmlsfs::0:1:::fs1:blockSize');
    expect((await program('mmlsfs', 'other', '-Y')).exitCode).toBe(1);
  });

  test('a file of a file system that was unmounted under it is stale, and one beside it is no file of GPFS', async () => {
    const at = await withVolume();
    await simulateUp({ ...simulator, personality: { mounted: false } });
    expect(await mmclone('show', at('vol'))).toEqual(refused('mmclone: Stale file handle'));
    await simulateUp({ ...simulator, personality: { mounted: true } });
    expect(await mmclone('show', '/etc/hostname')).toEqual(refused('mmclone: Invalid argument'));
    expect((await mmclone('show', at('vol'))).exitCode).toBe(0);
  });

  test('a fileset can be made, linked, filled, unlinked and deleted', async () => {
    const junction = join(simulator.mount, 'extra');
    expect((await program('mmcrfileset', 'fs1', 'extra')).exitCode).toBe(0);
    expect((await program('mmlinkfileset', 'fs1', 'extra', '-J', junction)).exitCode).toBe(0);
    await writeFile(join(junction, 'vol'), 'x');
    const at = await withVolume();
    expect(await mmclone('snap', at('vol'), join(junction, 'snap'))).toEqual(
      refused('mmclone: Invalid cross-device link'),
    );
    expect((await program('mmlsattr', '-L', join(junction, 'vol'))).stdout).toContain(
      'fileset name:         extra\n',
    );
    expect((await program('mmunlinkfileset', 'fs1', 'extra')).exitCode).toBe(0);
    expect((await program('mmlsfileset', 'fs1', 'extra', '-Y')).stdout).toContain(
      ':Unlinked:%2D%2D:',
    );
    expect((await program('mmdelfileset', 'fs1', 'extra')).stderr).toContain('not empty');
    expect((await program('mmdelfileset', 'fs1', 'extra', '-f')).exitCode).toBe(0);
  });

  test('twenty clones made at once are twenty clones', async () => {
    const at = await withVolume();
    await mmclone('snap', at('vol'), at('snap'));
    const names = Array.from({ length: 20 }, (_, n) => at(`clone${n}`));
    const all = await Promise.all(names.map((name) => mmclone('copy', at('snap'), name)));
    expect(all.filter((one) => one.exitCode !== 0)).toEqual([]);
    expect((await lstat(at('snap'))).nlink).toBe(22);
    const shown = await mmclone('show', ...names);
    expect(
      shown.stdout.split('\n').filter((line) => line.startsWith('    no      1  ')),
    ).toHaveLength(20);
    await Promise.all(names.map((name) => program('rm', name)));
    expect((await lstat(at('snap'))).nlink).toBe(2);
  });

  test('a command that is to hang is still there when it is killed', async () => {
    await simulateUp({ ...simulator, personality: { hang: ['mmlspool'] } });
    const killed = await ended(join(simulator.bin, 'mmlspool'), ['fs1'], { killAfterMs: 700 });
    expect(killed).toEqual({ stdout: '', stderr: '', exitCode: null });
    await simulateUp({ ...simulator, personality: { hang: [] } });
    expect((await program('mmlspool', 'fs1')).exitCode).toBe(0);
  });

  test('commands killed at any moment leave a whole tree', async () => {
    const at = await withVolume();
    for (let n = 0; n < 24; n += 1) {
      const args = n % 3 === 0 ? ['split', at('vol')] : ['snap', at('vol'), at(`s${n}`)];
      await ended(join(simulator.bin, 'mmclone'), args, { killAfterMs: 18 + n });
      const shown = await mmclone('show', at('vol'));
      const parent = /\s(\d+)\s+\//.exec(shown.stdout)?.[1];
      const made = await Promise.all(
        Array.from({ length: n + 1 }, (_, k) => lstat(at(`s${k}`)).catch(() => undefined)),
      );
      const holder = made.find((stat) => String(stat?.ino) === parent);
      expect(shown.exitCode).toBe(0);
      expect(holder?.nlink).toBe(parent === undefined ? undefined : 2);
    }
    expect(await firstByte(at('vol'))).toBe('a');
    expect(await simulateStatus(simulator)).toMatchObject({ state: 'up', reasons: [] });
  });
});

test('executables belong to the simulator they lie in', () => {
  expect(findSimulator(simulator.bin)).toMatchObject({ mount: simulator.mount, mountType: 'xfs' });
  expect(findSimulator('/usr/lpp/mmfs/bin')).toBeUndefined();
});

describe('damage', () => {
  test.each([
    ['removed', (path: string) => unlink(path)],
    ['written to', (path: string) => appendFile(path, 'x')],
  ])('a parent that was %s past us spoils what reads through it', async (_, harm) => {
    const spoilt = await testSimulator();
    try {
      const at = (name: string): string => join(spoilt.mount, name);
      const run = (...args: string[]): Promise<Ended> => ended(join(spoilt.bin, 'mmclone'), args);
      const guarded = simulatedFiles(hostFiles(), spoilt);
      await Promise.all([writeFile(at('vol'), 'data'), writeFile(at('sound'), 'data')]);
      await run('snap', at('vol'), at('snap'));
      await run('snap', at('sound'), at('whole'));
      await harm(at('snap'));
      expect(await run('show', at('vol'))).toEqual(refused('mmclone: Input/output error'));
      expect(await codeOf(guarded.read(at('vol')))).toBe('EIO');
      expect(await guarded.read(at('sound'))).toBe('data');
      const status = await simulateStatus(spoilt);
      expect(status).toMatchObject({ state: 'damaged', damaged: [at('snap')] });
    } finally {
      await spoilt.down();
      await rm(spoilt.dir, { recursive: true, force: true });
    }
  });
});
