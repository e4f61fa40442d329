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
  type Attached,
  type FileIdentity,
  type Loop,
} from './loop.ts';
import { deviceSize, hasNameOf, hasTailOf, loopState, type LoopState } from './sysblock.ts';

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
    await takeGrowth(run, loop, file);
    const unfit = await unfitness(loop, file, options);
    if (!unfit) return loop;
    await detach(run, clock, loop);
    const kind = unfit.lacksDirectIo && hasSmallSectors(options) ? 'wrong-state' : 'command-failed';
    throw new DriverError(kind, `${file} cannot be used through ${path}: ${unfit.why}`);
  },

  /** Resolves when the attachment is gone, also when it was gone before. */
  detach: (loop: Attached): Promise<void> => detach(run, clock, loop),

  /** Makes the device take the new size of its file; resolves to that size. */
  refresh: async (loop: Loop): Promise<Bytes> => {
    const what = `${loop.path} could not take over the new size of its file`;
    await explainFailure(what, run(['losetup', '-c', loop.path], 'write'));
    return deviceSize(loop.path);
  },

  /**
   * Every attachment of a file, whatever its name: /sys has only names, so this needs a command. Where the kernel
   * cannot ask the file of a device, the device counts if /sys shows the name `path` for it.
   */
  loopsOf: async (file: FileIdentity, path: string): Promise<readonly Attached[]> => {
    const listed = await explainFailure('loop devices could not be listed', list(run));
    const likely = listed.filter(({ backing }) => !backing || sameFile(backing, file));
    const wanted = { file, path };
    const loops = await Promise.all(likely.map((each) => attachedWith(run, each.path, wanted)));
    return loops.filter((loop) => loop !== undefined);
  },

  /** True for the same attachment, not for a later one on the same device. */
  isAttached: (loop: Attached): Promise<boolean> => isAttached(run, loop),

  /** True when it is attached and stays so after its last user closes it. Otherwise its number may get another file. */
  isThereToStay: async (loop: Loop): Promise<boolean> =>
    (await isAttached(run, loop)) && (await loopState(loop.path))?.isLeaving === false,

  /** Holds the device open during work, so that its attachment cannot end or change. Throws busy when it is gone. */
  whileHeld: <T>(loop: Loop, work: () => Promise<T>): Promise<T> => whileHeld(run, loop, work),

  /** An existing attachment, if it can be used. */
  fit: async (found: Attached, file: string, options: AttachOptions): Promise<Loop | undefined> => {
    const { backing } = found;
    if (!backing) return undefined;
    const loop = { ...found, backing };
    return (await unfitness(loop, file, options)) ? undefined : loop;
  },
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

/** An expansion may have made the file larger since losetup read its size. */
async function takeGrowth(run: Run, { path }: Loop, file: string): Promise<void> {
  const { size } = await stat(file, { bigint: true });
  if ((await deviceSize(path)) < size) await run(['losetup', '-c', path], 'write');
}

const list = async (run: Run, ...which: string[]): Promise<readonly Listed[]> =>
  (await run(['losetup', '--noheadings', '--raw', '-O', columns, ...which], 'read'))
    .split('\n')
    .filter((line) => line !== '')
    .map(parseListed);

async function loopAt(run: Run, path: string): Promise<Loop | undefined> {
  const before = await loopState(path);
  if (!before) return undefined;
  const backing = await backingOf(run, path, before);
  const after = await loopState(path);
  if (!backing || after?.diskseq !== before.diskseq) return undefined;
  return { ...attachedAs(path, before), backing };
}

const attachedAs = (path: string, { diskseq, readonly, backingFile: file }: LoopState) => ({
  path,
  diskseq,
  readonly,
  file,
});

/** The attachment at a device if it is of this file. Asks losetup again: the device may have another file by now. */
async function attachedWith(
  run: Run,
  device: string,
  { file, path }: { readonly file: FileIdentity; readonly path: string },
): Promise<Attached | undefined> {
  const before = await loopState(device);
  const backing = await listedFile(run, device);
  if (!before || !(backing ? sameFile(backing, file) : hasTailOf(before, path))) return undefined;
  const after = await loopState(device);
  if (after?.diskseq !== before.diskseq) return undefined;
  return { ...attachedAs(device, before), backing };
}

const backingOf = async (
  run: Run,
  path: string,
  { backingFile }: LoopState,
): Promise<FileIdentity | undefined> =>
  (await visibleFile(backingFile)) ?? (await listedFile(run, path));

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

async function isAttached(run: Run, loop: Attached): Promise<boolean> {
  const state = await loopState(loop.path);
  if (!state) return false;
  return loop.diskseq === '' ? hasFileOf(run, state, loop) : state.diskseq === loop.diskseq;
}

/**
 * For kernels without diskseq: whether a device has the file that it had. A file that cannot be asked any more, as on
 * a file system that went away, is known by its name; a device with such a file must not count as gone.
 */
async function hasFileOf(run: Run, state: LoopState, loop: Attached): Promise<boolean> {
  const backing = await backingOf(run, loop.path, state);
  if (backing && loop.backing && sameFile(backing, loop.backing)) return true;
  return hasTailOf(state, loop.file);
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

async function detach(run: Run, clock: Clock, loop: Attached): Promise<void> {
  if (!(await isAttached(run, loop))) return;
  try {
    await run(['losetup', '-d', loop.path], 'write');
  } catch (error) {
    if (await isAttached(run, loop))
      throw new DriverError(
        'command-failed',
        `${loop.path} could not be detached; the log of this node has the words of losetup`,
        error,
      );
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
  /** Undefined where the kernel cannot ask the file, for example on a file system that went away. */
  readonly backing: FileIdentity | undefined;
}

// Raw output escapes blanks: those that pad the number of the device, and that of ` (lost)`, which util-linux 2.40 and
// newer put after the name of a device that has no node in /dev.
const listedLine =
  /^(\/dev\/loop\d{1,7})(?:(?: |\\x20)\(lost\))?(?: (?:\\x20)*(\d{1,10}):(\d{1,10})(?:\\x20)* (\d{1,20})| *)$/;

/** Reads one line of `losetup --raw -O NAME,BACK-MAJ:MIN,BACK-INO`. Throws unreadable-output. */
export function parseListed(line: string): Listed {
  const [, path, major, minor = '', inode = ''] = listedLine.exec(line) ?? [];
  if (path === undefined)
    throw new DriverError('unreadable-output', `losetup printed ${JSON.stringify(line)}`);
  if (major === undefined) return { path, backing: undefined };
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
        throw new DriverError(
          'command-failed',
          `${file} could not be attached to a loop device; the log of this node has the words of losetup`,
          error,
        );
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
  const free = (await run(['losetup', '-f'], 'read').catch(() => '')).trim();
  // util-linux 2.40 and newer say ` (lost)` of a device without a node.
  const [, path = '', number = ''] = /^(\/dev\/loop(\d{1,7}))(?: \(lost\))?$/.exec(free) ?? [];
  if (path === '' || (await exists(path))) return;
  await run(['mknod', path, 'b', '7', number], 'write').catch(() => undefined);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
