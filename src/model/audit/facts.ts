import type { Bytes } from '../bytes.ts';

/** Directories of data files. */
export type AuditData = 'volumes' | 'snapshots' | 'hidden';

/** What one record says of its object and of the file that carries it. */
export interface RecordFact {
  readonly kind: 'volume' | 'snapshot' | 'hidden' | 'group';
  readonly id: string;
  /** How often the record was written; a file's name has the number of the version that made it. */
  readonly version: number;
  readonly state: string;
  readonly data: AuditData;
  readonly key: string | undefined;
  readonly inode: bigint | undefined;
  readonly parent: string | null;
  readonly bytes: Bytes;
  readonly claim: ClaimFact | undefined;
  /** Volumes: a change of attributes, which excludes no other operation. */
  readonly retype?: ClaimFact | undefined;
  /** Snapshots and groups: the try of the group that a snapshot was taken in, or the current try of the group. */
  readonly attempt?: string | undefined;
  /** Groups: ids of the snapshots it needs. */
  readonly members?: readonly string[];
}

/** The operation that a record announces; `keys` are the files it is about to make. */
export interface ClaimFact {
  readonly op: string;
  readonly node: string;
  readonly fate: 'alive' | 'silent' | 'gone';
  readonly keys: readonly string[];
}

/** Where a file stands in its clone tree, as GPFS says. */
export interface CloneFact {
  readonly kind: 'plain' | 'parent' | 'clone';
  readonly parentInode?: bigint | undefined;
}

/** A file in a directory of data files, whatever its name. */
export interface FileFact {
  readonly data: AuditData;
  readonly name: string;
  readonly path: string;
  readonly isFile: boolean;
  /** Its name is a key, and it lies in the shard of that key. */
  readonly inPlace: boolean;
  readonly inode: bigint;
  readonly size: Bytes;
  /** Bytes of its own blocks; only of clone parents. */
  readonly held?: Bytes | undefined;
  readonly links: number;
  readonly ageMs: number;
  /** Undefined where GPFS was not asked, or did not answer. */
  readonly clone: CloneFact | undefined;
}

/** A child that a parent is kept for. */
export interface EdgeFact {
  readonly parent: string;
  readonly child: string;
  readonly ageMs: number;
}

/** A clone parent that a volume of another root is filled from. */
export interface CopyFact {
  readonly parent: string;
  readonly to: string;
  readonly child: string;
}

/** A data file whose name has a directory, so that no command of a node makes it any more. */
export interface BarredFact {
  readonly key: string;
  readonly node: string;
}

/** A node that may have an image open. */
export interface MarkFact {
  readonly image: string;
  readonly node: string;
  /** Its machine has booted again since. */
  readonly dead: boolean;
}

/** A file of the driver that cannot be read, or that names another object than its file name does. */
export interface BrokenFact {
  readonly path: string;
  readonly why: string;
  /** A newer version of the driver wrote it. */
  readonly newer: boolean;
  readonly ageMs: number;
  /** The directory that it lies in, below the state of the root. */
  readonly in: string;
  /** Records: the object, and paths of lower versions, which are older than what the object is now. */
  readonly id?: string;
  readonly older?: readonly string[];
}

/** One root as it was found. */
export interface AuditFacts {
  readonly records: readonly RecordFact[];
  readonly files: readonly FileFact[];
  /** Files that a repair set aside; they still read through their clone parents. */
  readonly aside: readonly { readonly path: string; readonly clone: CloneFact | undefined }[];
  readonly edges: readonly EdgeFact[];
  /** Edges into other roots: this root does not know whether their children exist. */
  readonly copies: readonly CopyFact[];
  readonly barred: readonly BarredFact[];
  readonly marks: readonly MarkFact[];
  readonly broken: readonly BrokenFact[];
  /** Files and directories in the driver's state that have no name of its making. */
  readonly strays: readonly string[];
  /** Ids of volumes that moved to another root. */
  readonly moved: ReadonlySet<string>;
  readonly temporaries: readonly { readonly path: string; readonly ageMs: number }[];
  /** Link counts of parents mean something on this GPFS. */
  readonly linkCount: boolean;
}

/** Kinds of findings, and how bad each is: a note is about something that disappears by itself. */
export const severities = {
  'damaged record': 'error',
  'newer record': 'error',
  'restored root': 'error',
  'outdated record': 'error',
  'missing file': 'error',
  'renamed file': 'error',
  'replaced file': 'error',
  'shared file': 'error',
  'broken group': 'error',
  'short file': 'error',
  'long file': 'warning',
  'not a file': 'error',
  'strange file': 'warning',
  orphan: 'warning',
  'unknown parent': 'error',
  'wrong parent': 'error',
  'extra level': 'warning',
  'nameless parent': 'error',
  cycle: 'error',
  'edge without child': 'warning',
  'child without edge': 'warning',
  'unknown children': 'warning',
  'dead claim': 'warning',
  'quarantined clone': 'warning',
  // A node that was cut off leaves one on its old image, which blocks nothing.
  'stale mark': 'note',
  'source of a copy': 'note',
  'barred name': 'note',
  'childless parent': 'note',
  'temporary file': 'note',
} as const;

/** What can be found. */
export type FindingKind = keyof typeof severities;

/** Something that does not agree: what, where, and what to do. */
export interface Finding {
  readonly kind: FindingKind;
  readonly object: string;
  readonly says: string;
  readonly remedy: string;
}

/** How people call the object of a record. */
export const nameOf = ({ kind, id }: Pick<RecordFact, 'kind' | 'id'>): string =>
  kind === 'hidden' ? `clone parent ${id}` : `${kind} ${id}`;

/** A live server works on it, so its parts may not agree yet. */
export const isUnderWay = ({ claim }: RecordFact): boolean => claim?.fate === 'alive';

/** Objects that exist: not deleted, and not being made. */
export const isLiving = ({ state, key }: RecordFact): boolean =>
  key !== undefined && ['ready', 'waiting', 'removing', 'deleting'].includes(state);
