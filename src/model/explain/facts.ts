import type { KubernetesName } from '../kubernetes.ts';

/** The version of the JSON of `gpfs-csi explain --json`: a field may be added to it, and none changes its meaning. */
export const explainVersion = 1;

/** All that one node can say of what a word names. Times are ms since 1970, sizes are bytes. */
export interface Explanation {
  readonly version: typeof explainVersion;
  /** What was asked for. */
  readonly word: string;
  /** The node that answers: what is said of devices, mounts and pods holds for this node alone. */
  readonly node: string;
  readonly objects: readonly ObjectFacts[];
  /** What this node has of volumes whose root it cannot read now. */
  readonly onlyHere: readonly (LocalFacts & { readonly handle: string })[];
  /** What could not be read, a sentence each. */
  readonly problems: readonly string[];
}

/** One object of a root. */
export interface ObjectFacts {
  readonly kind: 'volume' | 'snapshot' | 'golden image' | 'deleted snapshot' | 'clone parent';
  /** What it was made for in Kubernetes; absent where the record does not say. */
  readonly kubernetes?: KubernetesName;
  /** The name that the sidecar gave it: of a volume, the PersistentVolume. */
  readonly name: string;
  readonly handle: string;
  readonly root: { readonly path: string; readonly id: string };
  readonly record: { readonly path: string; readonly version: number; readonly state: string };
  readonly createdMs: number;
  readonly deletedMs?: number;
  readonly bytes: number;
  /** Absent while there is none. */
  readonly file?: FileFacts;
  /** What its class says now; of volumes. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly attachments: readonly AttachmentFacts[];
  /** Nodes that may have the file open, as their marks say. */
  readonly marks: readonly { readonly node: string; readonly sinceMs: number; dead: boolean }[];
  /** What runs on it now. */
  readonly claims: readonly ClaimFacts[];
  /** Names of files of it that no command may make any more, and the server that is silent. */
  readonly barred: readonly { readonly key: string; readonly node: string }[];
  readonly tree?: PlaceFacts;
  /** Work on clone trees that is announced or put off. */
  readonly queue: readonly QueueFacts[];
  /** The last operations, oldest first. */
  readonly history: readonly EventFacts[];
  /** What this node has of it; absent where it has nothing. */
  readonly here?: LocalFacts;
}

/** The data file of an object. */
export interface FileFacts {
  readonly path: string;
  readonly key: string;
  /** The inode that the record names, and the one that is there; absent where there is no such file. */
  readonly inode: string;
  readonly inodeFound?: string;
  /** Bytes of the blocks in the file itself. */
  readonly heldBytes?: number;
}

export interface AttachmentFacts {
  readonly node: string;
  readonly sinceMs: number;
  /** `fencing`: other nodes are cut off first. */
  readonly state: 'fencing' | 'ready';
  readonly access: string;
  readonly readonly: boolean;
  /** Whether the server of that node wrote its heartbeat lately. */
  readonly alive: boolean;
}

/** A running operation. */
export interface ClaimFacts {
  readonly op: string;
  readonly node: string;
  readonly sinceMs: number;
  /** `silent`: that server writes no heartbeat. `gone`: it ended; the next request ends the operation. */
  readonly server: 'alive' | 'silent' | 'gone';
  /** How far a fill is. */
  readonly doneBytes?: number;
  readonly ofBytes?: number;
}

/** Its place in the clone tree. */
export interface PlaceFacts {
  /** How many clone parents it reads through. */
  readonly depth: number;
  readonly ownBytes: number;
  readonly sharedBytes: number;
  /** What it reads through, nearest first. */
  readonly parents: readonly string[];
  readonly children: readonly string[];
  /** What would be free if it were deleted. */
  readonly freedBytes: number;
  /** Volumes and snapshots that keep its file when it is deleted. */
  readonly keptBy: readonly string[];
}

export interface QueueFacts {
  readonly state: 'announced' | 'put off';
  readonly why?: string;
  readonly untilMs?: number;
  readonly tries?: number;
}

/** One operation that ended. */
export interface EventFacts {
  readonly what: string;
  readonly atMs: number;
  readonly tookMs: number;
  readonly node: string;
  readonly outcome: string;
  readonly about?: string | undefined;
  readonly why?: string | undefined;
}

/** What a node has of a volume in its kernel. */
export interface LocalFacts {
  readonly recordPath: string;
  readonly staged: boolean;
  readonly stagingPath: string;
  /** The generation that is in use here. */
  readonly generation: string;
  readonly devices: readonly DeviceFacts[];
  readonly mounts: readonly {
    readonly path: string;
    readonly type: string;
    readonly readonly: boolean;
  }[];
  readonly pods: readonly { readonly uid: string; readonly path: string }[];
}

/** A loop device of the image. */
export interface DeviceFacts {
  readonly path: string;
  readonly file: string;
  /** Whether the node's record names it; another one is of somebody else. */
  readonly recorded: boolean;
  /** Whether it has the file that the volume's record names. */
  readonly current: boolean;
  readonly directIo: boolean;
  readonly readonly: boolean;
  readonly sectorBytes: number;
  readonly bytes: number;
  readonly counters: DeviceCounters;
}

/** What /sys/block/loopN/stat counts since the kernel made the device: files that it had before count too. */
export interface DeviceCounters {
  readonly reads: number;
  readonly readBytes: number;
  readonly readMs: number;
  readonly writes: number;
  readonly writtenBytes: number;
  readonly writeMs: number;
  readonly inFlight: number;
}
