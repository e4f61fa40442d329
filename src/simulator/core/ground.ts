import type { Bytes } from '../../model/bytes.ts';
import type { Personality } from './personality.ts';

/** An inode number in decimal digits: a key of maps, a name of state files. */
export type Inode = string;

/** What the state machine wants to know of a file that has a name. */
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
  /** When the last child went, for the window in which the parent cannot be removed. */
  readonly childlessSinceMs: number | undefined;
}

/** One part of a transaction, a `name` always first. Each can be done twice without harm, so that a broken one is finished later. */
export type Change =
  /** A draft gets its name. */
  | { readonly do: 'name'; readonly inode: Inode; readonly path: string }
  | { readonly do: 'put'; readonly record: FileRecord }
  | { readonly do: 'forget'; readonly inode: Inode }
  | { readonly do: 'hang'; readonly child: Inode; readonly parent: Inode }
  | { readonly do: 'cut'; readonly child: Inode; readonly parent: Inode }
  /** Blocks went to the new parent: this file reads them through it from now on. */
  | { readonly do: 'yield'; readonly inode: Inode }
  /** Blocks of the immediate parent, or of all ancestors, become the file's own. */
  | {
      readonly do: 'absorb';
      readonly inode: Inode;
      readonly all: boolean;
      /** So many of them only. */
      readonly most?: number;
      /** Those as well that the file has written itself meanwhile: its own are lost. */
      readonly over?: boolean;
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
 * The disk under the state machine: memory for the in-process face, node:fs over XFS for the executables.
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
  /** lstat(2); EINVAL when the path is not on this file system, EIO when the tree it is in is damaged. */
  facts(path: string): Facts;
  record(inode: Inode): FileRecord | undefined;
  /** How many children a parent has now; need not count beyond `limit`. */
  childCount(inode: Inode, limit?: number): number;
  isOpenForWriting(path: string): boolean;
  /** A new file without a name: `snap` has the source's blocks, mode and times, `copy` its size only. */
  draft(source: string, as: 'snap' | 'copy'): Inode;
  /** Whether `path` could be named now: EEXIST, ENOENT, ENOTDIR, … otherwise. */
  checkFree(path: string): void;
  commit(changes: readonly Change[]): void;
  filesets(): readonly SimulatedFileset[];
  /** The name of the fileset a path lies in. */
  filesetOf(path: string): string;
  /** A directory outside the name space, the root of a fileset that is not linked yet. */
  makeFilesetRoot(name: string): Inode;
  putFileset(fileset: SimulatedFileset): void;
  /** Moves a fileset's root between its junction and its place outside the name space. */
  moveFilesetRoot(name: string, from: string | undefined, to: string | undefined): void;
  removeFilesetRoot(name: string): void;
  /** Whether the root of an unlinked fileset holds files. */
  isFilesetEmpty(name: string): boolean;
}

/** Attributes of a file that nobody ran mmchattr on. */
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

/** The part of the ground that filesets stand on. */
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
