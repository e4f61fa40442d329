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
  /** `auto`: volumes in use too, where a probe of two nodes has shown that this is safe. */
  readonly attached: 'auto' | 'never';
  /** Redirects at once in one file system, and in all of them. */
  readonly perFileSystem: number;
  readonly atOnce: number;
  /** Clone parents above a file, at most: beyond it snapshots and clones are refused. */
  readonly maxDepth: number;
}

/** What the controller's operations stand on. */
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
  /** Called with what a redirect copied at most. */
  readonly compacted: (store: RootStore, bytes: Bytes) => void;
  /** Waits for one of the turns that a file system has for what copies data. */
  readonly turn: <T>(fileSystem: string, work: () => Promise<T>) => Promise<T>;
  /** Work that goes on though its request was answered; what fails is logged. */
  readonly background: (work: Promise<void>, about: Readonly<Record<string, unknown>>) => void;
  readonly allocate: Allocate;
  /** How long a request waits for a volume to be filled before it tells how far that is. */
  readonly patienceMs: number;
  /** What a class that says nothing else gets. */
  readonly defaults: FileAttributes;
  readonly limits: Limits;
  /** What the file systems below the roots have to offer. */
  readonly placement: Placement;
  /** How callers learn which nodes have which root; undefined where they are not told. */
  readonly topology: RootTopology | undefined;
}

/** The claims of this process. */
export interface Claims {
  begin(plan: ClaimPlan): LiveClaim;
  /** Whether the server that made a claim may still be at work on it. */
  fateOf(store: RootStore, claim: Claim): Promise<'alive' | 'silent' | 'gone'>;
  /**
   * Throws busy while the claim's server may still be at work, unavailable where only a proof of its death
   * would do; returns when the claim may be taken over. `what` names the object for the message.
   */
  requireDead(store: RootStore, claim: Claim, what: string): Promise<void>;
  /** Tells the others that a claim is free; what fails is tried again at `retry`. */
  release(attempt: () => Promise<void>): Promise<void>;
  retry(): Promise<void>;
}

/** A claim that this process works on, until it is disposed of. */
export interface LiveClaim extends Disposable {
  readonly claim: Claim;
}

/** What an operation says in its claim about what it will do. */
export type ClaimPlan = Pick<
  Claim,
  'op' | 'parent' | 'snapshot' | 'image' | 'fenced' | 'bytes' | 'from' | 'to' | 'fill'
>;

/** Puts work on the queues of the roots, and tells whoever works them off in this process. */
export interface Backlog {
  /** Never fails: what cannot be written now is kept and written later; what is lost, the next sweep finds. */
  add(store: RootStore, name: string): Promise<void>;
  /** Writes what could not be written before. */
  retry(): Promise<void>;
  /** There may be something on a queue: a root was opened, and the server that died here may have left it. */
  wake(): void;
  /** Calls `listener` after each addition, and at each `wake`. */
  follow(listener: () => void): void;
}

/** The redirects that run in this process, by the nonce of their claim. */
export interface Compacting {
  begin(nonce: string): { readonly signal: AbortSignal; end(): void };
  /** Stops a redirect of this process; resolves when it has ended, and to false when there is none. */
  stop(nonce: string): Promise<boolean>;
}

/** Guards a root against more than it can keep. */
export interface Limits {
  /**
   * Makes or grows a volume by `work`, which counts from before it starts and is given back where it fails.
   * Throws limit-reached or no-space, naming the limit, where that would be too many.
   */
  admit<T>(store: RootStore, wanted: Wanted, work: () => Promise<T>): Promise<T>;
  /** A volume was removed: there is room for others at once. */
  removed(store: RootStore, id: LocalId): Promise<void>;
  /** What may still be promised; undefined without a limit. */
  left(store: RootStore): Promise<Bytes | undefined>;
  /** The reserve in bytes. */
  reserve(store: RootStore): Promise<Bytes>;
}

/** A volume that is to be made or to grow. */
export interface Wanted {
  readonly id: LocalId;
  readonly bytes: Bytes;
  /** What its record says it has; 0 for a new one. */
  readonly had: Bytes;
}

/** Ends the operation that the claim of a record announces; resolves to the record without the claim. */
export type End<T> = (host: ServiceHost, store: RootStore, held: Held<T>) => Promise<Held<T>>;

/** How one kind of operation on a volume ends where it did not end by itself. */
export interface VolumeEnding {
  /** Finishes or undoes the operation, from any point it stopped at. */
  readonly end: End<VolumeRecord>;
  /**
   * Whether a server whose operation failed leaves the claim in the record, so that the next caller goes on from
   * there. Where this is absent, or resolves to false, that server ends the operation at once.
   */
  readonly stays?: (store: RootStore, record: VolumeRecord) => Promise<boolean>;
}

/** What may be under way on a snapshot. */
export type SnapshotWork = 'snapshot' | 'import' | 'delete';

/** Lets a compaction stop for a request that wants its file; resolves when the claim is gone, or throws busy. */
export type GiveWay<T> = (host: ServiceHost, store: RootStore, held: Held<T>) => Promise<void>;

/** How each operation ends: handed down, so that what works under claims knows none of the operations. */
export interface Endings {
  readonly volume: Readonly<Record<Claim['op'], VolumeEnding>>;
  readonly snapshot: Readonly<Record<SnapshotWork, End<SnapshotRecord>>>;
  readonly giveWay: {
    readonly volume: GiveWay<VolumeRecord>;
    readonly snapshot: GiveWay<SnapshotRecord>;
  };
}
