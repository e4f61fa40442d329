import type { Bytes } from '../../model/bytes.ts';
import type { Personality } from './personality.ts';

/** An inode number in decimal digits: a key of maps, a name of state files. */
export type Inode = string;

/** What the state machine needs to know about the file at a path. */
export interface Facts {
  readonly inode: Inode;
  readonly kind: 'file' | 'directory' | 'other';
  readonly size: Bytes;
  readonly links: number;
  readonly bornMs: number;
}

/** Attributes that mmchattr sets; a file without any has the defaults. */
export interface Attributes {
  readonly pool: string;
  readonly dataReplicas: number;
  readonly maxDataReplicas: number;
  readonly metadataReplicas: number;
  readonly maxMetadataReplicas: number;
  readonly immutable: boolean;
  readonly appendOnly: boolean;
  readonly directIo: boolean;
  readonly illplaced: boolean;
}

/** What GPFS keeps in an inode beyond POSIX: its place in a clone tree, and attributes. */
export interface FileRecord {
  readonly inode: Inode;
  readonly parent: Inode | undefined;
  readonly isParent: boolean;
  /** As stored: not updated when an ancestor is redirected or split, so an upper bound. */
  readonly depth: number;
  readonly attributes: Attributes;
  /** When the parent lost its last child. It cannot be removed until `deleteWindowMs` have passed. */
  readonly childlessSinceMs: number | undefined;
}

/**
 * One step of a transaction. A `name` is always the first. Each step can be repeated without harm, so that an
 * interrupted transaction can be finished later.
 */
export type Change =
  /** Gives a draft its name. */
  | { readonly do: 'name'; readonly inode: Inode; readonly path: string }
  | { readonly do: 'put'; readonly record: FileRecord }
  | { readonly do: 'forget'; readonly inode: Inode }
  | { readonly do: 'hang'; readonly child: Inode; readonly parent: Inode }
  | { readonly do: 'cut'; readonly child: Inode; readonly parent: Inode }
  /** The blocks of this file now belong to its new parent, through which the file reads them. */
  | { readonly do: 'yield'; readonly inode: Inode }
  /** Blocks of the immediate parent, or of all ancestors, become the file's own. */
  | {
      readonly do: 'absorb';
      readonly inode: Inode;
      readonly all: boolean;
      /** Copies at most this many blocks. */
      readonly most?: number;
      /** Also replaces blocks that the file has written itself, whose data is then lost: by those of this parent. */
      readonly over?: Inode;
    };

export interface SimulatedFileset {
  readonly name: string;
  readonly id: number;
  readonly rootInode: Inode;
  /** Undefined while it is unlinked. */
  readonly junction: string | undefined;
  readonly createdMs: number;
  readonly comment: string;
  /** Owns an inode space of its own. */
  readonly independent: boolean;
}

export interface SimulatedPool {
  readonly name: string;
  readonly id: number;
  readonly metadata: boolean;
  readonly totalKiB: bigint;
  readonly freeKiB: bigint;
}

/**
 * What the state machine stands on: memory for the simulator in process, XFS through node:fs for the executables.
 * Everything is synchronous; one command runs at a time. Failures are errno exceptions.
 */
export interface Ground {
  readonly device: string;
  /** Other names of the device that a mount table may show. */
  readonly aliases: readonly string[];
  readonly mountPoint: string;
  readonly node: string;
  readonly personality: Personality;
  readonly pools: readonly SimulatedPool[];
  readonly createdMs: number;
  now(): number;
  /** lstat(2); EINVAL when the path is not on this file system, ESTALE when that was unmounted, EIO when the tree it is in is damaged. */
  facts(path: string): Facts;
  record(inode: Inode): FileRecord | undefined;
  /** How many children a parent has now. The count may stop at `limit`. */
  childCount(inode: Inode, limit?: number): number;
  isOpenForWriting(path: string): boolean;
  /** Makes a file without a name: for `snap` with the source's blocks, mode and times, for `copy` with its size. */
  draft(source: string, as: 'snap' | 'copy'): Inode;
  /** Fails with EEXIST, ENOENT, ENOTDIR, … unless a file can get the name `path` now. */
  checkFree(path: string): void;
  commit(changes: readonly Change[]): void;
  filesets(): readonly SimulatedFileset[];
  /** The name of the fileset a path lies in. */
  filesetOf(path: string): string;
  /** Makes the root directory of a fileset that is not linked yet, outside the name space. */
  makeFilesetRoot(name: string): Inode;
  putFileset(fileset: SimulatedFileset): void;
  /** Moves a fileset's root between its junction and its place outside the name space. */
  moveFilesetRoot(name: string, from: string | undefined, to: string | undefined): void;
  removeFilesetRoot(name: string): void;
  /** Whether the root of an unlinked fileset holds files. */
  isFilesetEmpty(name: string): boolean;
}

/** Attributes of a file that mmchattr has never changed. */
export const plainAttributes: Attributes = {
  pool: 'system',
  dataReplicas: 1,
  maxDataReplicas: 2,
  metadataReplicas: 1,
  maxMetadataReplicas: 2,
  immutable: false,
  appendOnly: false,
  directIo: false,
  illplaced: false,
};

/** The record of a file that has none yet. */
export const plainRecord = (inode: Inode): FileRecord => ({
  inode,
  parent: undefined,
  isParent: false,
  depth: 0,
  attributes: plainAttributes,
  childlessSinceMs: undefined,
});

/** The part of the ground that implements filesets. */
export type FilesetPart = Pick<
  Ground,
  | 'filesets'
  | 'filesetOf'
  | 'makeFilesetRoot'
  | 'putFileset'
  | 'moveFilesetRoot'
  | 'removeFilesetRoot'
  | 'isFilesetEmpty'
>;
