import { open, stat } from 'node:fs/promises';
import type { Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import type { Clock } from '../run/clock.ts';
import { complaintOf, explainFailure, type Run } from '../run/run.ts';
import {
  hasSmallSectors,
  sameFile,
  loopSectorBytes,
  unfitness,
  type AttachOptions,
  type FileIdentity,
  type Loop,
} from './loop.ts';
import { deviceSize, hasNameOf, loopState } from './sysblock.ts';

export type Losetup = ReturnType<typeof losetup>;

const columns = 'NAME,BACK-MAJ:MIN,BACK-INO';
const attachAttempts = 8;
const detachWaitMs = 5_000;
const pollMs = 25;

/** Attaches image files to loop devices with direct I/O and a given sector size, and detaches them. */
export const losetup = (run: Run, clock: Clock) => ({
  /**
   * Makes a new attachment and verifies it; one that differs from the options is detached. Throws wrong-state
   * where the kernel has no direct I/O for sectors smaller than usual.
   */
  attach: async (file: string, options: AttachOptions): Promise<Loop> => {
    const path = await setUp(run, clock, file, options);
    const loop = await loopAt(run, path);
    if (!loop || !(await isOurs(loop, file)))
      throw new DriverError(
        'command-failed',
        `${path} was detached from ${file} by somebody else as soon as it was attached; try again`,
      );
    const unfit = await unfitness(loop, file, options);
    if (!unfit) return loop;
    await detach(run, clock, loop);
    const kind = unfit.lacksDirectIo && hasSmallSectors(options) ? 'wrong-state' : 'command-failed';
    throw new DriverError(kind, `${file} cannot be used through ${path}: ${unfit.why}`);
  },

  /** Resolves when the attachment is gone, also when it was gone before. */
  detach: (loop: Loop): Promise<void> => detach(run, clock, loop),

  /** Makes the device take the new size of its file; resolves to that size. */
  refresh: async (loop: Loop): Promise<Bytes> => {
    const what = `${loop.path} could not take over the new size of its file`;
    await explainFailure(what, run(['losetup', '-c', loop.path], 'write'));
    return deviceSize(loop.path);
  },

  /** Every attachment of a file, whatever its name. /sys has only names, so this needs a command. */
  loopsOf: async (file: FileIdentity): Promise<readonly Loop[]> => {
    const listed = await explainFailure('loop devices could not be listed', list(run));
    const ours = listed.filter(({ backing }) => sameFile(backing, file));
    const loops = await Promise.all(ours.map(({ path }) => loopWith(run, path, file)));
    return loops.filter((loop) => loop !== undefined);
  },

  /** True for the same attachment, not for a later one on the same device. */
  isAttached: (loop: Loop): Promise<boolean> => isAttached(run, loop),

  /** True when it is attached and stays so after its last user closes it. Otherwise its number may get another file. */
  isThereToStay: async (loop: Loop): Promise<boolean> =>
    (await isAttached(run, loop)) && (await loopState(loop.path))?.isLeaving === false,

  /** Holds the device open during work, so that its attachment cannot end or change. Throws busy when it is gone. */
  whileHeld: <T>(loop: Loop, work: () => Promise<T>): Promise<T> => whileHeld(run, loop, work),

  /** True when an existing attachment can be used. */
  isFit: async (loop: Loop, file: string, options: AttachOptions): Promise<boolean> =>
    (await unfitness(loop, file, options)) === undefined,
});

/**
 * True when the device still holds the file that the driver attached, by inode or by name. Its number may have been
 * free for a moment, and another process may have attached its own file: the driver must not detach that one.
 */
async function isOurs(loop: Loop, file: string): Promise<boolean> {
  const named = await visibleFile(file);
  if (named && sameFile(loop.backing, named)) return true;
  return hasNameOf(await loopState(loop.path), file);
}

const list = async (run: Run, ...which: string[]): Promise<readonly Listed[]> =>
  (await run(['losetup', '--noheadings', '--raw', '-O', columns, ...which], 'read'))
    .split('\n')
    .filter((line) => line !== '')
    .map(parseListed);

async function loopAt(run: Run, path: string): Promise<Loop | undefined> {
  const before = await loopState(path);
  if (!before) return undefined;
  const backing = (await visibleFile(before.backingFile)) ?? (await listedFile(run, path));
  const after = await loopState(path);
  if (!backing || after?.diskseq !== before.diskseq) return undefined;
  return { path, diskseq: before.diskseq, readonly: before.readonly, backing };
}

/** The attachment at a device if it is of this file. Asks losetup again: the device may have another file by now. */
async function loopWith(run: Run, path: string, file: FileIdentity): Promise<Loop | undefined> {
  const before = await loopState(path);
  const backing = await listedFile(run, path);
  if (!before || !backing || !sameFile(backing, file)) return undefined;
  const { diskseq, readonly } = before;
  const after = await loopState(path);
  return after?.diskseq === diskseq ? { path, diskseq, readonly, backing } : undefined;
}

/** The file that /sys names; undefined when it was unlinked, or attached in another mount namespace. */
const visibleFile = async (path: string): Promise<FileIdentity | undefined> => {
  if (path.endsWith(' (deleted)')) return undefined;
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return { device: dev, inode: ino };
  } catch {
    return undefined;
  }
};

const listedFile = async (run: Run, path: string): Promise<FileIdentity | undefined> =>
  (await list(run, path).catch(() => []))[0]?.backing;

async function isAttached(run: Run, loop: Loop): Promise<boolean> {
  const state = await loopState(loop.path);
  if (state?.diskseq !== loop.diskseq) return false;
  if (loop.diskseq !== '') return true;
  const now = await loopAt(run, loop.path);
  return now !== undefined && sameFile(now.backing, loop.backing);
}

async function whileHeld<T>(run: Run, loop: Loop, work: () => Promise<T>): Promise<T> {
  const handle = await open(loop.path, 'r');
  try {
    if (!(await isAttached(run, loop)))
      throw new DriverError('busy', `${loop.path} was detached by somebody else; try again`);
    return await work();
  } finally {
    await handle.close();
  }
}

async function detach(run: Run, clock: Clock, loop: Loop): Promise<void> {
  if (!(await isAttached(run, loop))) return;
  try {
    await run(['losetup', '-d', loop.path], 'write');
  } catch (error) {
    if (await isAttached(run, loop))
      throw new DriverError('command-failed', `${loop.path} could not be detached`, error);
  }
  // losetup -d succeeds while a process has the device open; the file stays in use until the last one closes it.
  for (let waited = 0; await isAttached(run, loop); waited += pollMs) {
    if (waited >= detachWaitMs)
      throw new DriverError(
        'in-use',
        `${loop.path} does not go away: a process still has it open; end that process, then try again`,
      );
    await clock.sleep(pollMs);
  }
}

interface Listed {
  readonly path: string;
  readonly backing: FileIdentity;
}

// The device number is padded with blanks, which raw output escapes.
const listedLine = /^(\/dev\/loop\d+) (?:\\x20)*(\d+):(\d+)(?:\\x20)* (\d+)$/;

/** Reads one line of `losetup --raw -O NAME,BACK-MAJ:MIN,BACK-INO`. Throws unreadable-output. */
export function parseListed(line: string): Listed {
  const [, path = '', major = '', minor = '', inode = ''] = listedLine.exec(line) ?? [];
  if (path === '')
    throw new DriverError('unreadable-output', `losetup printed ${JSON.stringify(line)}`);
  return {
    path,
    backing: { device: stDevOf(BigInt(major), BigInt(minor)), inode: BigInt(inode) },
  };
}

/** The st_dev of a major and a minor number, as the C library packs them. */
const stDevOf = (major: bigint, minor: bigint): bigint =>
  ((major & 0xfffff000n) << 32n) |
  ((major & 0xfffn) << 8n) |
  ((minor & 0xffffff00n) << 12n) |
  (minor & 0xffn);

async function setUp(
  run: Run,
  clock: Clock,
  file: string,
  options: AttachOptions,
): Promise<string> {
  const sectors = ['-b', String(loopSectorBytes(options))];
  const flags = [...sectors, '--direct-io=on', ...(options.readonly ? ['-r'] : [])];
  for (let attempt = 1; ; attempt += 1) {
    try {
      return (await run(['losetup', '-f', '--show', ...flags, file], 'write')).trim();
    } catch (error) {
      const complaint = complaintOf(error) ?? '';
      if (attempt === attachAttempts || !isTransient(complaint))
        throw new DriverError('command-failed', `${file} could not be attached`, error);
      if (isMissing(complaint)) await makeNode(run);
      await clock.sleep(pollMs * attempt);
    }
  }
}

const isMissing = (complaint: string): boolean => complaint.includes('No such file or directory');

// Another process took the free device first, or the device node is not there yet.
const isTransient = (complaint: string): boolean =>
  isMissing(complaint) || /resource busy|temporarily unavailable/i.test(complaint);

/** Makes the device node: a container with its own /dev does not get the nodes of loop devices that the kernel adds. */
async function makeNode(run: Run): Promise<void> {
  const path = (await run(['losetup', '-f'], 'read').catch(() => '')).trim();
  const [, number] = /^\/dev\/loop(\d+)$/.exec(path) ?? [];
  if (number === undefined || (await exists(path))) return;
  await run(['mknod', path, 'b', '7', number], 'write').catch(() => undefined);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
