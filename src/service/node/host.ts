import type { LocalId } from '../../model/ids.ts';
import type { Clock } from '../../run/clock.ts';
import type { Files, Space } from '../../run/files.ts';
import type { blkid } from '../../linux/blkid.ts';
import type { fstrim } from '../../linux/fstrim.ts';
import type { fsfreeze } from '../../linux/fsfreeze.ts';
import type { growfs } from '../../linux/growfs.ts';
import type { Losetup } from '../../linux/losetup.ts';
import type { mkfs } from '../../linux/mkfs.ts';
import type { Mounter } from '../../linux/mount.ts';
import type { Log } from '../../observe/log.ts';
import type { Self } from '../../store/nodes.ts';
import type { RootStore } from '../../store/root.ts';
import type { Companion } from '../../run/companion.ts';
import type { FrozenNotes } from './state/frozen.ts';
import type { VolumeLocks } from './state/locks.ts';
import type { NodeRecord, NodeRecords } from './state/records.ts';

/** Finds the root that an id belongs to. */
export interface NodeRoots {
  /**
   * Undefined for an id that was never given out. Throws unavailable when its root is not mounted. `imagePath`: the root
   * that this image of the volume lies in, wherever the volume is now.
   */
  byId(
    id: string,
    imagePath?: string,
  ): Promise<{ readonly store: RootStore; readonly local: LocalId } | undefined>;
}

/** How long the node waits, and how busy it may be. */
export interface NodeLimits {
  /** Milliseconds until a file that another node grew shows its size here. */
  readonly sizeMs: number;
  /** Milliseconds for statfs(2), which hangs on a file system that hangs. */
  readonly statfsMs: number;
  /** Load for each processor above which nothing is trimmed. */
  readonly trimLoad: number;
}

/** A file system that is about to be frozen, and for how long. */
export interface Watched {
  readonly path: string;
  readonly device: bigint;
  readonly ms: number;
}

/** What the node side of the driver works with; a function takes only the parts that it uses. */
export interface NodeHost {
  readonly roots: NodeRoots;
  readonly self: Self;
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Log;
  readonly records: NodeRecords;
  readonly lock: VolumeLocks;
  readonly background: Background;
  readonly fsfreeze: ReturnType<typeof fsfreeze>;
  readonly frozen: FrozenNotes;
  /** Starts the process that thaws a file system in time even when this one is killed. */
  readonly watchdog: (what: Watched) => Promise<Companion>;
  readonly freezer: Freezer;
  /** Calls of statfs(2) that have not returned yet, by path. */
  readonly pendingSpace: Map<string, Promise<Space>>;
  /** Volumes that a caller staged, whose record a boot or a failed stage removed, with that record. */
  readonly vanished: Map<string, NodeRecord>;
  readonly losetup: Losetup;
  readonly mounter: Mounter;
  readonly blkid: ReturnType<typeof blkid>;
  readonly mkfs: ReturnType<typeof mkfs>;
  readonly growfs: ReturnType<typeof growfs>;
  readonly fstrim: ReturnType<typeof fstrim>;
  readonly limits: NodeLimits;
  /** Below this directory a path must not lead through a symbolic link. */
  readonly kubeletDirectory: string;
  /** Accepts loop devices without direct I/O on a GPFS that refuses it. */
  readonly allowBuffered: boolean;
}

/** Work on a volume that ends as soon as a request wants the volume: trims, freezes. */
export interface Background {
  /**
   * Runs work on a volume; resolves to false, without running it, when a request or other work has the volume.
   * The work checks `stop` at each point where it can end, and ends soon after `stop` fires.
   */
  run(id: string, work: (stop: AbortSignal) => Promise<void>): Promise<boolean>;
  /** Ends the work on a volume; resolves when it has ended. For requests that hold the volume's lock. */
  settle(id: string): Promise<void>;
  /** The same for all volumes, when the driver ends. */
  settleAll(): Promise<void>;
}

/** Freezes file systems of this node for snapshots, whichever node takes them. */
export interface Freezer extends Disposable {
  /** Starts to look for freeze requests for this volume. */
  watch(id: string, store: RootStore): Promise<void>;
  unwatch(id: string): void;
  /** Thaws what a driver that died on this node left frozen: at start, and before an unstage. */
  thawLeft(id?: string): Promise<void>;
}
