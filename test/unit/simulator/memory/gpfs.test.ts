import { describe, expect, test } from 'vitest';
import { errnoOf } from '../../../../src/run/files.ts';
import { CommandFailed } from '../../../../src/run/run.ts';
import { mountOf } from '../../../../src/run/mounts.ts';
import { ServerCrashed } from '../../../../src/simulator/core/faults.ts';
import { simulateGpfs, type SimulatedGpfs } from '../../../../src/simulator/memory/gpfs.ts';

const root = '/gpfs/fs1/csi-data';
const at = (name: string): string => `${root}/${name}`;

async function withVolume(gpfs: SimulatedGpfs = simulateGpfs()): Promise<SimulatedGpfs> {
  await gpfs.files.createSparse(at('vol'), 1n << 30n, 0o660);
  gpfs.write(at('vol'), 0, 'first');
  return gpfs;
}

const clone = (gpfs: SimulatedGpfs, ...args: string[]): Promise<string> =>
  gpfs.run(['mmclone', ...args], 'write');

const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(() => 'no failure', errnoOf);

const stderrOf = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof CommandFailed ? error.stderr : `not a failed command: ${String(error)}`;
};

describe('mmclone in process', () => {
  test('a volume that is open stays a child of its parent when its name goes', async () => {
    const gpfs = await withVolume();
    const old = gpfs.open(at('vol'));
    await clone(gpfs, 'snap', at('vol'), at('p'));
    await gpfs.files.unlink(at('vol'));
    expect(await codeOf(gpfs.files.unlink(at('p')))).toBe('EROFS');
    expect(old.read(0)).toBe('first');
    old.close();
    await gpfs.files.unlink(at('p'));
    expect(gpfs.tree().size).toBe(0);
  });

  test('a snapshot is a new inode that keeps its data while the source goes on', async () => {
    const gpfs = await withVolume();
    const before = await gpfs.files.stat(at('vol'));
    expect(await clone(gpfs, 'snap', at('vol'), at('snap'))).toBe('');
    gpfs.write(at('vol'), 0, 'second');

    const [volume, snapshot] = [
      await gpfs.files.stat(at('vol')),
      await gpfs.files.stat(at('snap')),
    ];
    expect(volume.inode).toBe(before.inode);
    expect(snapshot.inode).not.toBe(before.inode);
    expect(snapshot).toMatchObject({ links: 2, mode: 0o660, size: 1n << 30n });
    expect(gpfs.readBlock(at('snap'), 0)).toBe('first');
    expect(gpfs.readBlock(at('vol'), 0)).toBe('second');
  });

  test('each snapshot goes between the volume and its last one', async () => {
    const gpfs = await withVolume();
    for (const name of ['a', 'b', 'c']) await clone(gpfs, 'snap', at('vol'), at(name));
    const shown = await gpfs.run(['mmclone', 'show', at('a'), at('b'), at('vol')], 'read');
    const inode = async (name: string): Promise<string> =>
      String((await gpfs.files.stat(at(name))).inode).padStart(14);
    expect(shown.split('\n').slice(2)).toEqual([
      `   yes      0                  ${at('a')}`,
      `   yes      1  ${await inode('a')}  ${at('b')}`,
      `    no      3  ${await inode('c')}  ${at('vol')}`,
      '',
    ]);
  });

  test('a parent is frozen, and stays until its last child goes', async () => {
    const gpfs = await withVolume();
    await clone(gpfs, 'snap', at('vol'), at('snap'));
    await clone(gpfs, 'copy', at('snap'), at('clone'));
    expect((await gpfs.files.stat(at('snap'))).links).toBe(3);
    expect(await codeOf(gpfs.files.unlink(at('snap')))).toBe('EROFS');
    expect(await codeOf(gpfs.files.grow(at('snap'), 1n << 31n))).toBe('EROFS');
    expect(() => {
      gpfs.write(at('snap'), 0, 'no');
    }).toThrow('EROFS');

    await gpfs.files.chmod(at('snap'), 0o640);
    await gpfs.files.rename(at('snap'), at('tombstone'));
    await gpfs.files.unlink(at('clone'));
    await clone(gpfs, 'split', at('vol'));
    await gpfs.files.unlink(at('tombstone'));
    expect(gpfs.paths()).toEqual([at('vol')]);
    expect(gpfs.readBlock(at('vol'), 0)).toBe('first');
  });

  test.each([
    ['no source', ['snap', at('none'), at('x')], 'No such file or directory'],
    ['target there', ['snap', at('vol'), at('vol')], 'File exists'],
    ['another fileset', ['snap', at('vol'), '/gpfs/fs1/x'], 'Invalid cross-device link'],
    ['a directory', ['snap', root, at('x')], 'Is a directory'],
    ['not a parent', ['copy', at('vol'), at('x')], 'Operation not permitted'],
    ['not a clone', ['split', at('vol')], 'Operation not permitted'],
    ['not on GPFS', ['show', '/'], 'Invalid argument'],
  ])('%s is refused as strerror says', async (_, args, text) => {
    const gpfs = await withVolume();
    expect(await stderrOf(clone(gpfs, ...args))).toBe(`mmclone: ${text}\n`);
  });

  test('one name turns the file itself into a parent, once', async () => {
    const gpfs = await withVolume();
    const open = gpfs.open(at('vol'));
    expect(await stderrOf(clone(gpfs, 'snap', at('vol')))).toBe(
      'mmclone: Device or resource busy\n',
    );
    open.close();
    await clone(gpfs, 'snap', at('vol'));
    expect(await stderrOf(clone(gpfs, 'snap', at('vol')))).toBe('mmclone: Read-only file system\n');
  });

  test('redirect copies what the parent holds and hangs the file one level up', async () => {
    const gpfs = await withVolume();
    await clone(gpfs, 'snap', at('vol'), at('a'));
    gpfs.write(at('vol'), 1, 'after a');
    await clone(gpfs, 'snap', at('vol'), at('b'));
    gpfs.write(at('vol'), 2, 'after b');
    const before = gpfs.hash(at('vol'));
    await clone(gpfs, 'redirect', at('vol'));
    await gpfs.files.unlink(at('b'));
    expect(gpfs.hash(at('vol'))).toBe(before);
    expect(await codeOf(gpfs.files.unlink(at('a')))).toBe('EROFS');
  });

  test('after the last child a parent may be busy for a while', async () => {
    const gpfs = await withVolume(simulateGpfs({ personality: { deleteWindowMs: 500 } }));
    await clone(gpfs, 'snap', at('vol'), at('snap'));
    await gpfs.files.unlink(at('vol'));
    expect(await codeOf(gpfs.files.unlink(at('snap')))).toBe('EROFS');
    gpfs.clock.tick(500);
    await gpfs.files.unlink(at('snap'));
    expect(gpfs.paths()).toEqual([]);
  });

  test('a volume that is open keeps its blocks when its name goes', async () => {
    const gpfs = await withVolume();
    const old = gpfs.open(at('vol'));
    await clone(gpfs, 'snap', at('vol'), at('p'));
    await clone(gpfs, 'copy', at('p'), at('next'));
    await gpfs.files.unlink(at('vol'));
    old.write(0, 'late');
    expect(old.read(0)).toBe('late');
    expect(gpfs.readBlock(at('next'), 0)).toBe('first');
    old.close();
    await clone(gpfs, 'split', at('next'));
    await gpfs.files.unlink(at('p'));
    expect(gpfs.tree().size).toBe(0);
  });
});

describe('faults', () => {
  test('a call broken before it has no effect, one broken after has', async () => {
    const gpfs = await withVolume();
    gpfs.failAt(1, 'before');
    await expect(clone(gpfs, 'snap', at('vol'), at('a'))).rejects.toThrow(CommandFailed);
    gpfs.failAt(1, 'after');
    await expect(clone(gpfs, 'snap', at('vol'), at('b'))).rejects.toThrow(CommandFailed);
    expect(gpfs.paths()).toEqual([at('b'), at('vol')]);
  });

  test('a crashed server does nothing more, the others go on', async () => {
    const gpfs = await withVolume();
    const other = gpfs.server('b1');
    gpfs.crashAt(2, 'after');
    await gpfs.files.stat(at('vol'));
    await expect(gpfs.files.unlink(at('vol'))).rejects.toThrow(ServerCrashed);
    await expect(gpfs.files.stat(root)).rejects.toThrow(ServerCrashed);
    expect(await other.files.list(root)).toEqual([]);
    gpfs.heal();
    expect(await gpfs.files.list(root)).toEqual([]);
  });

  test('a stalled call has its effect when it is let go', async () => {
    const gpfs = await withVolume();
    const release = gpfs.stallAt(1);
    const late = clone(gpfs, 'snap', at('vol'), at('snap'));
    await gpfs.server('b1').files.rename(at('vol'), at('moved'));
    release();
    expect(await stderrOf(late)).toBe('mmclone: No such file or directory\n');
  });

  test('what was under way in a crash stays without effect after a restart', async () => {
    const gpfs = await withVolume();
    const release = gpfs.stallAt(1);
    const late = gpfs.files.unlink(at('vol'));
    gpfs.crashAt(1, 'before');
    await expect(gpfs.files.list(root)).rejects.toThrow(ServerCrashed);
    gpfs.heal();
    release();
    await expect(late).rejects.toThrow(ServerCrashed);
    expect(gpfs.paths()).toEqual([at('vol')]);
  });

  test('a read past its time limit fails, a write goes on', async () => {
    const gpfs = await withVolume(simulateGpfs({ personality: { latencyMs: 300 } }));
    const before = gpfs.clock.now();
    const slow = gpfs.run(['mmclone', 'show', at('vol')], 'read', { timeoutMs: 100 });
    await expect(slow).rejects.toMatchObject({ timedOut: true });
    await gpfs.run(['mmclone', 'snap', at('vol'), at('snap')], 'write', { timeoutMs: 100 });
    expect(gpfs.clock.now()).toBe(before + 400);
    expect(gpfs.paths()).toEqual([at('snap'), at('vol')]);
  });

  test('a command that hangs ends with its request or its limit', async () => {
    const gpfs = await withVolume(simulateGpfs({ personality: { hang: ['mmgetstate'] } }));
    const limited = gpfs.run(['mmgetstate', '-Y'], 'read', { timeoutMs: 5000 });
    await expect(limited).rejects.toMatchObject({ timedOut: true });
    const request = new AbortController();
    const lost = gpfs.run(['mmgetstate', '-Y'], 'read', { signal: request.signal });
    request.abort();
    await expect(lost).rejects.toThrow(CommandFailed);
  });
});

describe('the node around it', () => {
  test('an unmounted GPFS leaves an ordinary directory behind', async () => {
    const gpfs = await withVolume();
    expect(mountOf(await gpfs.mounts(), root)?.type).toBe('gpfs');
    gpfs.set({ mounted: false });
    expect(mountOf(await gpfs.mounts(), root)?.type).toBe('ext4');
    expect(await gpfs.files.list('/gpfs/fs1')).toEqual([]);
    await gpfs.files.createDurable('/gpfs/fs1/stray', 'x', 0o600);
    expect(await stderrOf(clone(gpfs, 'show', '/gpfs/fs1/stray'))).toContain('Invalid argument');
    expect(await stderrOf(clone(gpfs, 'show', at('vol')))).toContain('No such file');
    gpfs.set({ mounted: true });
    expect(gpfs.paths()).toEqual([at('vol')]);
    expect(gpfs.strayPaths()).toEqual(['/gpfs/fs1/stray']);
  });

  test('nonces never repeat, and files refuse what POSIX refuses', async () => {
    const gpfs = await withVolume();
    const nonces = Array.from({ length: 1000 }, () => gpfs.nonce());
    nonces.push(...Array.from({ length: 1000 }, () => gpfs.server('b1').nonce()));
    expect(new Set(nonces).size).toBe(2000);
    expect(await codeOf(gpfs.files.createDurable(at('vol'), '', 0o600))).toBe('EEXIST');
    expect(await codeOf(gpfs.files.link(at('vol'), at('vol')))).toBe('EEXIST');
    expect(await codeOf(gpfs.files.stat(at('vol/x')))).toBe('ENOTDIR');
    expect(await codeOf(gpfs.files.removeDirectory(root))).toBe('EPERM');
    expect(await codeOf(gpfs.files.rename(at('vol'), '/gpfs/fs1/vol'))).toBe('EXDEV');
    gpfs.set({ full: true });
    expect(await codeOf(gpfs.files.createSparse(at('v2'), 1n, 0o600))).toBe('ENOSPC');
    expect(await stderrOf(clone(gpfs, 'snap', at('vol'), at('s')))).toBe(
      'mmclone: No space left on device\n',
    );
  });
});
