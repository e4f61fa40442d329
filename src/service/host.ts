import type { Gpfs } from '../gpfs/commands.ts';
import type { Bytes } from '../model/bytes.ts';
import type { CompactionRule } from '../model/compaction.ts';
import type { RootTopology } from '../model/topology.ts';
import type { FileAttributes } from '../model/parameters.ts';
import type { Allocate } from '../linux/fallocate.ts';
import type { Log } from '../observe/log.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import type { Self } from '../store/nodes.ts';
import type { RootStore } from '../store/root.ts';
import type { Claims } from './operating/claims.ts';
import type { Backlog } from './compaction/backlog.ts';
import type { Compacting } from './compaction/compacting.ts';
import type { Limits } from './limits.ts';
import type { Placement } from './placement.ts';
import type { Roots } from './roots.ts';

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
