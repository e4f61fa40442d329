import type { Gpfs } from '../gpfs/commands.ts';
import type { Bytes } from '../model/bytes.ts';
import type { CompactionRule } from '../model/compaction.ts';
import type { RootTopology } from '../model/topology.ts';
import type { FileAttributes } from '../model/class/parameters.ts';
import type { Allocate } from '../linux/fallocate.ts';
import type { Log } from '../observe/log.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import type { Self } from '../store/nodes.ts';
import type { Held } from '../store/records.ts';
import type { RootStore } from '../store/root.ts';
import type { Placement } from './roots/placement.ts';
import type { Roots } from './roots/roots.ts';
import type { Claim } from '../store/schema/claim.ts';
import type { SnapshotRecord } from '../store/schema/parents.ts';
import type { VolumeRecord } from '../store/schema/volume.ts';
import type { LocalId } from '../model/ids.ts';

/** The mm commands that make volumes. */
export type VolumeCommands = Pick<Gpfs, 'clone' | 'setAttributes'>;

/** How clone trees are kept shallow. */
export interface CompactionOptions {
  readonly rule: CompactionRule;
  readonly paused: boolean;
  /** `auto`: attached volumes too, where a probe of two nodes has shown that this is safe. */
  readonly attached: 'auto' | 'never';
  /** How many redirects run at once in one file system, and how many in all. */
  readonly perFileSystem: number;
  readonly atOnce: number;
  /** The most clone parents above a file: beyond that snapshots and clones are refused. */
  readonly maxDepth: number;
}

/** The services below the controller's operations. A function takes only those that it uses. */
export interface ServiceHost {
  readonly roots: Roots;
  readonly self: Self;
  readonly claims: Claims;
  readonly endings: Endings;
  readonly commands: VolumeCommands;
  readonly clock: Clock;
  readonly nonce: Nonce;
  readonly log: Log;
  /** Work that no request waits for: clone parents to remove, clone trees to compact. */
  readonly backlog: Backlog;
  readonly compaction: CompactionOptions;
  readonly compacting: Compacting;
  /** Called with the most bytes that a redirect may have copied. */
  readonly compacted: (store: RootStore, bytes: Bytes) => void;
  /** Called when something has happened that no request says, and that people count. */
  readonly happened: (store: RootStore, what: Happening) => void;
  /** Runs `work` in one of the turns that a file system has for operations that copy data. */
  readonly turn: <T>(fileSystem: string, work: () => Promise<T>) => Promise<T>;
  /**
   * Runs `work` after all earlier work of this process for the same object. Throws busy where its turn does not come
   * while the request may wait.
   */
  readonly inLine: <T>(object: string, work: () => Promise<T>) => Promise<T>;
  /** Work that continues after its request was answered; a failure is logged. */
  readonly background: (work: Promise<void>, about: Readonly<Record<string, unknown>>) => void;
  /** Called after each part of a volume that is filled. */
  readonly progress: (at: FillProgress) => void;
  readonly allocate: Allocate;
  /** How long a request waits for a volume to be filled before it fails with the progress. */
  readonly patienceMs: number;
  /** The attributes of volumes whose class says nothing else. */
  readonly defaults: FileAttributes;
  readonly limits: Limits;
  /** What the file systems of the roots offer: pools, encryption. */
  readonly placement: Placement;
  /** How callers learn which nodes have which root; undefined where topology is off. */
  readonly topology: RootTopology | undefined;
  /** Nodes accept loop devices without direct I/O. */
  readonly allowBuffered: boolean;
}

/** `cut off`: nodes were cut off from a volume. `compaction failed`: work on a clone tree failed, and is tried again. */
export type Happening = 'cut off' | 'compaction failed';

/** How far the filling of a volume is. */
export interface FillProgress {
  readonly volume: string;
  readonly step: 'allocating' | 'copying';
  /** Bytes of `of` that this step has been through. */
  readonly done: Bytes;
  readonly of: Bytes;
}

/** The claims of this process. */
export interface Claims {
  begin(plan: ClaimPlan): LiveClaim;
  /** Whether the server that made a claim may still be at work on it. */
  fateOf(store: RootStore, claim: Claim): Promise<'alive' | 'silent' | 'gone'>;
  /** Resolves when this process has ended its work under a claim; undefined for a claim that it does not work under. */
  ended(claim: Claim): Promise<undefined> | undefined;
  /**
   * Resolves when the claim may be taken over. Throws busy while the claim's server may still be at work,
   * unavailable where that server must be known to be gone and is only silent. `what` names the object for the
   * message.
   */
  requireDead(store: RootStore, claim: Claim, what: string): Promise<void>;
  /** Runs `attempt`, which releases a claim; where it fails, `retry` runs it again. */
  release(attempt: () => Promise<void>): Promise<void>;
  retry(): Promise<void>;
}

/** A claim that this process works on until it disposes of it. */
export interface LiveClaim extends Disposable {
  readonly claim: Claim;
}

/** What an operation announces in its claim. */
export type ClaimPlan = Pick<
  Claim,
  'op' | 'parent' | 'snapshot' | 'image' | 'fenced' | 'bytes' | 'from' | 'to' | 'fill' | 'request'
>;

/** Puts work on the queues of the roots, and wakes the worker of this process. */
export interface Backlog {
  /** Never fails: an item that cannot be written now is kept and written later; the next sweep finds a lost one. */
  add(store: RootStore, name: string): Promise<void>;
  /** Writes the items that could not be written before. */
  retry(): Promise<void>;
  /** Says that a queue may hold items: a root was opened, and a server that died may have left some. */
  wake(): void;
  /** Calls `listener` after each addition, and at each `wake`. */
  follow(listener: () => void): void;
}

/** The redirects that run in this process, each by the nonce of its claim. */
export interface Compacting {
  begin(nonce: string): { readonly signal: AbortSignal; end(): void };
  /** Stops a redirect of this process. Resolves to true when it has ended, to false when there is none. */
  stop(nonce: string): Promise<boolean>;
}

/** Limits what is promised in a root. */
export interface Limits {
  /**
   * Runs `work`, which creates or expands a volume. Its bytes count before it starts, and no longer where it fails.
   * Throws limit-reached or no-space, naming the limit, where that would be too many.
   */
  admit<T>(store: RootStore, wanted: Wanted, work: () => Promise<T>): Promise<T>;
  /** Says that a volume was removed: its bytes are free for others at once. */
  removed(store: RootStore, id: LocalId): Promise<void>;
  /** The bytes that may still be promised; undefined without a limit. */
  left(store: RootStore): Promise<Bytes | undefined>;
  /** The reserve of the root in bytes. */
  reserve(store: RootStore): Promise<Bytes>;
}

/** A volume that a request creates or expands. */
export interface Wanted {
  readonly id: LocalId;
  readonly bytes: Bytes;
  /** The size in its record; 0 for a new volume. */
  readonly had: Bytes;
}

/** Ends the operation that the claim of a record announces. Resolves to the record without the claim. */
export type End<T> = (host: ServiceHost, store: RootStore, held: Held<T>) => Promise<Held<T>>;

/** How another server, or a later request, ends one kind of operation on a volume. */
export interface VolumeEnding {
  /** Finishes or undoes the operation, from any point where it stopped. */
  readonly end: End<VolumeRecord>;
  /**
   * Whether a server whose operation failed leaves the claim in the record, so that the next request resumes it.
   * Where this is absent or resolves to false, that server ends the operation at once.
   */
  readonly stays?: (store: RootStore, record: VolumeRecord) => Promise<boolean>;
}

/** What may be under way on a snapshot. */
export type SnapshotWork = 'snapshot' | 'import' | 'delete';

/** Makes a compaction stop for a request that wants its file. Resolves when the claim is gone, or throws busy. */
export type GiveWay<T> = (host: ServiceHost, store: RootStore, held: Held<T>) => Promise<void>;

/** How each operation ends: handed down, so that the code below the claims imports no operation. */
export interface Endings {
  readonly volume: Readonly<Record<Claim['op'], VolumeEnding>>;
  readonly snapshot: Readonly<Record<SnapshotWork, End<SnapshotRecord>>>;
  readonly giveWay: {
    readonly volume: GiveWay<VolumeRecord>;
    readonly snapshot: GiveWay<SnapshotRecord>;
  };
}
