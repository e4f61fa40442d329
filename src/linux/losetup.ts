import { open, stat } from 'node:fs/promises';
import type { Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import type { Clock } from '../run/clock.ts';
import { complaintOf, explainFailure, type Run } from '../run/run.ts';
import {
  isSmall,
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

/** Attaches image files to loop devices with direct I/O and sectors as asked for, and takes them off again. */
export const losetup = (run: Run, clock: Clock) => ({
  /**
   * A new attachment, verified; one that does not hold what was asked for is undone. Throws wrong-state
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
    const kind = unfit.lacksDirectIo && isSmall(options) ? 'wrong-state' : 'command-failed';
    throw new DriverError(kind, `${file} cannot be used through ${path}: ${unfit.why}`);
  },

  /** Resolves when the attachment is really gone; also when it was gone before. */
  detach: (loop: Loop): Promise<void> => detach(run, clock, loop),

  /** Lets the device see that its file has grown; resolves to its size. */
  refresh: async (loop: Loop): Promise<Bytes> => {
    const what = `${loop.path} could not take over the new size of its file`;
    await explainFailure(what, run(['losetup', '-c', loop.path], 'write'));
    return deviceSize(loop.path);
  },

  /** Every attachment of a file, under whatever name. /sys tells names only, so this one look needs a command. */
  loopsOf: async (file: FileIdentity): Promise<readonly Loop[]> => {
    const listed = await explainFailure('loop devices could not be listed', list(run));
    const ours = listed.filter(({ backing }) => sameFile(backing, file));
    const loops = await Promise.all(ours.map(({ path }) => loopWith(run, path, file)));
    return loops.filter((loop) => loop !== undefined);
  },

  /** Still the same attachment, not a later one on the same device. */
  isAttached: (loop: Loop): Promise<boolean> => isAttached(run, loop),

  /** Attached, and not only until its last user lets go: then the next file could come behind its number. */
  isThereToStay: async (loop: Loop): Promise<boolean> =>
    (await isAttached(run, loop)) && (await loopState(loop.path))?.isLeaving === false,

  /** Does work while an attachment cannot go, or be replaced, as it has one more user. Throws busy when it is gone. */
  whileHeld: <T>(loop: Loop, work: () => Promise<T>): Promise<T> => whileHeld(run, loop, work),

  /** Whether an attachment that was found can serve. */
  isFit: async (loop: Loop, file: string, options: AttachOptions): Promise<boolean> =>
    (await unfitness(loop, file, options)) === undefined,
});

/**
 * Whether the device is still what we attached, under whatever inode. By now it may be somebody else's, who was
 * given its number when it was free: that one is not ours to take down.
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

/** The attachment at a device, if it is one of this file. Asks losetup again: the device may have changed hands. */
async function loopWith(run: Run, path: string, file: FileIdentity): Promise<Loop | undefined> {
  const before = await loopState(path);
  const backing = await listedFile(run, path);
  if (!before || !backing || !sameFile(backing, file)) return undefined;
  const { diskseq, readonly } = before;
  const after = await loopState(path);
  return after?.diskseq === diskseq ? { path, diskseq, readonly, backing } : undefined;
}

/** The file that /sys names; undefined for one that was unlinked, or that another namespace attached. */
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
  // losetup -d succeeds while somebody has the device open; the file stays in use until the last one is gone.
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

/** One line of `losetup --raw -O NAME,BACK-MAJ:MIN,BACK-INO`. */
export function parseListed(line: string): Listed {
  const [, path = '', major = '', minor = '', inode = ''] = listedLine.exec(line) ?? [];
  if (path === '')
    throw new DriverError('unreadable-output', `losetup printed ${JSON.stringify(line)}`);
  return {
    path,
    backing: { device: deviceNumber(BigInt(major), BigInt(minor)), inode: BigInt(inode) },
  };
}

/** st_dev of a major and a minor number, as the C library packs them. */
const deviceNumber = (major: bigint, minor: bigint): bigint =>
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
      if (attempt === attachAttempts || !isPassing(complaint))
        throw new DriverError('command-failed', `${file} could not be attached`, error);
      if (isMissing(complaint)) await makeNode(run);
      await clock.sleep(pollMs * attempt);
    }
  }
}

const isMissing = (complaint: string): boolean => complaint.includes('No such file or directory');

// Another process took the free device first, or its node is not there yet.
const isPassing = (complaint: string): boolean =>
  isMissing(complaint) || /resource busy|temporarily unavailable/i.test(complaint);

/** A container with a /dev of its own does not get the nodes of loop devices that the kernel adds. */
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
