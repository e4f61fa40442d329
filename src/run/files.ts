import type { Bytes } from '../model/bytes.ts';

/** What lstat(2) says of a path. */
export interface FileStat {
  readonly kind: 'file' | 'directory' | 'symlink' | 'block' | 'other';
  readonly device: bigint;
  readonly inode: bigint;
  readonly size: Bytes;
  readonly links: number;
  /** Permission bits only. */
  readonly mode: number;
  readonly modifiedMs: number;
  /** When anything of it last changed, its name included. A new clone parent has only its other times from its source. */
  readonly changedMs: number;
  /** The numbers of its owner and group. */
  readonly uid: number;
  readonly gid: number;
}

/** A part of a file. */
export interface Range {
  readonly offset: Bytes;
  readonly length: Bytes;
}

/**
 * Resolves while data may be written; throws where it may not be (any more). Work that writes much asks before its
 * first write, and before each later one where some time has passed since: a process that was stopped asks first.
 */
export type MayWrite = () => Promise<void>;

/** statfs(2): bytes for an unprivileged user, and inodes. */
export interface Space {
  readonly total: Bytes;
  readonly used: Bytes;
  readonly available: Bytes;
  readonly inodes: bigint;
  readonly inodesFree: bigint;
}

/**
 * The calls that the driver makes on a file system. Each is one step; a crash, a fault or a stall can come
 * between two of them. All reject with a Node.js errno exception (`code` = 'ENOENT', 'EEXIST', 'EROFS', …).
 * None follows a symlink in the last component. Paths are absolute.
 */
export interface Files {
  /** A small text file, whole. */
  readonly read: (path: string) => Promise<string>;
  /** The first bytes of a file, fewer where it is shorter: what is on a disk, by its superblock. */
  readonly head: (path: string, bytes: number) => Promise<Uint8Array>;
  /** A new file (EEXIST when there is one) with this text, fsynced before it resolves. */
  readonly createDurable: (path: string, text: string, mode: number) => Promise<void>;
  /** Replaces the text of a file in its place, in blocks that the file has where they are enough. On disk when it resolves. */
  readonly overwrite: (path: string, text: string) => Promise<void>;
  /** A new empty sparse file of this size (EEXIST when there is one). */
  readonly createSparse: (path: string, size: Bytes, mode: number) => Promise<FileStat>;
  /** Makes a file at least this large; never shrinks it. */
  readonly grow: (path: string, size: Bytes) => Promise<FileStat>;
  /** Copies a part of a file (EIO past its end) to the same place of another; zeros stay holes. On disk when it resolves. */
  readonly copyRange: (from: string, to: string, range: Range, may: MayWrite) => Promise<void>;
  /** Writes zeros, so that blocks are allocated. On disk when it resolves. */
  readonly writeZeros: (path: string, range: Range, may: MayWrite) => Promise<void>;
  readonly link: (existing: string, path: string) => Promise<void>;
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly unlink: (path: string) => Promise<void>;
  /** Makes one directory; resolves also when it exists already. The parent must exist. */
  readonly makeDirectory: (path: string, mode: number) => Promise<void>;
  readonly removeDirectory: (path: string) => Promise<void>;
  /** Names in a directory, sorted by code unit. */
  readonly list: (path: string) => Promise<readonly string[]>;
  readonly stat: (path: string) => Promise<FileStat>;
  /**
   * lstat of several paths that are named from a directory, by one descriptor of it: all of them are seen in one file
   * system, even where it is unmounted meanwhile. Undefined for each that is missing; ENOENT for the directory itself.
   */
  readonly statsIn: (
    directory: string,
    names: readonly string[],
  ) => Promise<readonly (FileStat | undefined)[]>;
  /**
   * Bytes of the blocks that a file has itself, without those that it reads through clone parents. On GPFS a snap
   * moves them to the parent, and nodes that did not write may show an older number.
   */
  readonly held: (path: string) => Promise<Bytes>;
  readonly chmod: (path: string, mode: number) => Promise<void>;
  /** Sets the modification time to now. */
  readonly touch: (path: string) => Promise<void>;
  /** fsync of a directory, so that names made in it survive a power cut. */
  readonly syncDirectory: (path: string) => Promise<void>;
  readonly space: (path: string) => Promise<Space>;
}

/** The errno name of a failed call, or undefined when the error is of another kind. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether an error says that a path, or something on the way to it, is not there. */
export const isMissing = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '');

/** Whether an error says that no block, inode or quota is left. */
export const isFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');

/** For `.catch`: resolves to undefined for ENOENT and throws every other error again. */
export const undefinedWhenMissing = (error: unknown): undefined => {
  if (errnoOf(error) === 'ENOENT') return undefined;
  throw error;
};

/** An errno exception such as node:fs throws, for implementations of Files that are not node:fs. */
export function errnoError(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${call} '${path}'`), { code, syscall: call, path });
}
