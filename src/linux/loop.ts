import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { usualSectors } from '../model/sectors.ts';
import { errnoOf } from '../run/files.ts';
import { loopState, type LoopState } from './sysblock.ts';

const { O_DIRECT, O_NONBLOCK, O_RDONLY } = constants;
// How far apart memory of an allocation may begin.
const alignment = 16;

/** A file by what stays the same when it is renamed. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** One attachment of a file to a loop device. Device numbers are used again; `diskseq` tells attachments apart. */
export interface Loop {
  readonly path: string;
  readonly diskseq: string;
  readonly readonly: boolean;
  readonly backing: FileIdentity;
}

/** What an attachment must be like. */
export interface AttachOptions {
  readonly readonly: boolean;
  /** 4096 where nothing is said: what every file system and every clone can have. */
  readonly sectorBytes?: number;
  /** Takes a device for which the kernel does not use direct I/O: slower, and unsynced data is lost with the node. */
  readonly allowBuffered?: boolean;
}

/** True when both are the same file. */
export const sameFile = (a: FileIdentity, b: FileIdentity): boolean =>
  a.device === b.device && a.inode === b.inode;

/** The sectors asked for. */
export const loopSectorBytes = ({ sectorBytes = usualSectors }: AttachOptions): number =>
  sectorBytes;

const buffered = 'the kernel does not use direct I/O on this file';

/** Sectors smaller than usual were asked for, which not every file system has direct I/O for. */
export const isSmall = (options: AttachOptions): boolean => loopSectorBytes(options) < usualSectors;

/** Why an attachment cannot serve, in words, and whether that is the file system's word on direct I/O, no accident. */
interface Unfit {
  readonly why: string;
  readonly lacksDirectIo: boolean;
}

const isBufferedUnasked = ({ directIo }: LoopState, options: AttachOptions): boolean =>
  !directIo && options.allowBuffered !== true;

/** Why an attachment that was found cannot serve; undefined when it can. */
export async function unfitness(
  loop: Loop,
  file: string,
  options: AttachOptions,
): Promise<Unfit | undefined> {
  const why = await whyNotAsAsked(loop, file, options);
  if (why !== undefined) return { why, lacksDirectIo: why === buffered };
  const unread = isSmall(options)
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
 * Why one sector of this size cannot be read past the page cache; undefined when it can. The kernel takes a
 * file system's word that it has direct I/O for such sectors, and for some only assumes it.
 */
export async function whyNotDirect(device: string, bytes: number): Promise<string | undefined> {
  await using handle = await open(device, O_RDONLY | O_DIRECT | O_NONBLOCK);
  const buffer = Buffer.allocUnsafeSlow(2 * bytes);
  let why: string | undefined;
  // Direct I/O wants memory aligned to sectors, which Node does not promise: one of these places is.
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
