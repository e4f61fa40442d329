import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { usualSectors } from '../model/sectors.ts';
import { errnoOf } from '../run/files.ts';
import { loopState, type LoopState } from './sysblock.ts';

const { O_DIRECT, O_NONBLOCK, O_RDONLY } = constants;
// The distance between the places in a buffer that are tried.
const alignment = 16;

/** The identity of a file, which a rename does not change. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** One attachment of a file to a loop device. Device numbers are reused; `diskseq` tells attachments apart. */
export interface Attached {
  readonly path: string;
  /** '' on kernels before 5.15. */
  readonly diskseq: string;
  readonly readonly: boolean;
  /** The name of the file, as /sys showed it. */
  readonly file: string;
  /** Undefined where the kernel cannot ask the file. */
  readonly backing: FileIdentity | undefined;
}

/** An attachment whose file is known. */
export interface Loop extends Attached {
  readonly backing: FileIdentity;
}

/** How to attach a file. */
export interface AttachOptions {
  readonly readonly: boolean;
  /** 4096 by default, which works on every file system and for every clone. */
  readonly sectorBytes?: number;
  /** Accepts a device without direct I/O: it is slower, and unsynced data is lost with the node. */
  readonly allowBuffered?: boolean;
}

/** True when both name the same file. */
export const sameFile = (a: FileIdentity, b: FileIdentity): boolean =>
  a.device === b.device && a.inode === b.inode;

/** The sector size to attach with. */
export const loopSectorBytes = ({ sectorBytes = usualSectors }: AttachOptions): number =>
  sectorBytes;

const buffered = 'the kernel does not use direct I/O on this file';

/** True for sectors smaller than usual, for which not every file system has direct I/O. */
export const hasSmallSectors = (options: AttachOptions): boolean =>
  loopSectorBytes(options) < usualSectors;

/** Why an attachment cannot be used, and whether the reason is that the file system has no direct I/O. */
interface Unfit {
  readonly why: string;
  readonly lacksDirectIo: boolean;
}

const isBufferedUnasked = ({ directIo }: LoopState, options: AttachOptions): boolean =>
  !directIo && options.allowBuffered !== true;

/** Why an existing attachment cannot be used; undefined when it can. */
export async function unfitness(
  loop: Loop,
  file: string,
  options: AttachOptions,
): Promise<Unfit | undefined> {
  const why = await whyNotAsAsked(loop, file, options);
  if (why !== undefined) return { why, lacksDirectIo: why === buffered };
  const unread = hasSmallSectors(options)
    ? await whyNotDirect(loop.path, loopSectorBytes(options))
    : undefined;
  return unread === undefined ? undefined : { why: `${buffered}: ${unread}`, lacksDirectIo: true };
}

/** The kernel falls back to buffered I/O and to other sector sizes without an error; both lose data later. */
async function whyNotAsAsked(
  loop: Loop,
  file: string,
  options: AttachOptions,
): Promise<string | undefined> {
  const state = await loopState(loop.path);
  const { dev, ino, size } = await stat(file, { bigint: true });
  if (!state) return 'it was detached by somebody else';
  if (isBufferedUnasked(state, options)) return buffered;
  if (state.sectorBytes !== loopSectorBytes(options))
    return `its sectors have ${state.sectorBytes} bytes`;
  if (state.size !== size) return `the device has ${state.size} bytes and the file ${size}`;
  if (state.readonly !== options.readonly) return 'the device is not read-only as asked';
  if (!sameFile(loop.backing, { device: dev, inode: ino })) return 'it holds another file';
  return undefined;
}

/**
 * Why one sector of this size cannot be read past the page cache; undefined when it can. The kernel believes a
 * file system that claims direct I/O for such sectors, and of some it only assumes it.
 */
export async function whyNotDirect(device: string, bytes: number): Promise<string | undefined> {
  await using handle = await open(device, O_RDONLY | O_DIRECT | O_NONBLOCK);
  const buffer = Buffer.allocUnsafeSlow(2 * bytes);
  let why: string | undefined;
  // Direct I/O needs memory aligned to sectors, which Node does not promise: one of these places is aligned.
  for (let at = 0; at < bytes; at += alignment)
    try {
      await handle.read(buffer, at, bytes, bytes);
      return undefined;
    } catch (error) {
      why = errnoOf(error);
      if (why !== 'EINVAL') break;
    }
  return `one sector of ${bytes} bytes cannot be read from it (${why ?? 'no answer'})`;
}
