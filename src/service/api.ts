import type { Bytes } from '../model/bytes.ts';
import type { Access, Capability } from '../model/capability.ts';
import type { Segments } from '../model/topology.ts';
import type {
  CapacityRange,
  Page,
  Paged,
  Volume,
  VolumeSpec,
  Snapshot,
  SnapshotGroup,
} from '../model/volume.ts';

/** Volumes: create, clone, restore, delete, expand, list. All ids are as callers gave them, unchecked. */
export interface Volumes {
  create(spec: VolumeSpec): Promise<Volume>;
  /** Unknown ids succeed; ids of a root that is not reachable fail as unavailable. */
  remove(id: string): Promise<void>;
  get(id: string): Promise<Volume>;
  list(page: Page): Promise<Paged<Volume>>;
  /** Resolves to the size that the volume has afterwards. */
  expand(id: string, range: CapacityRange, capability: Capability | undefined): Promise<Bytes>;
  validate(id: string, ask: ValidateAsk): Promise<Validation>;
  /** Changes all the attributes that are given, or none. */
  modify(id: string, parameters: ReadonlyMap<string, string>): Promise<void>;
}

export interface ValidateAsk {
  readonly capabilities: readonly Capability[];
  readonly context: ReadonlyMap<string, string>;
  readonly parameters: ReadonlyMap<string, string>;
  /** What a VolumeAttributesClass says; compared with what the volume has now. */
  readonly mutable: ReadonlyMap<string, string>;
}

/** Either everything asked for is confirmed, or one sentence says what is not. */
export type Validation =
  { readonly confirmed: true } | { readonly confirmed: false; readonly message: string };

export interface Snapshots {
  create(ask: {
    readonly name: string;
    readonly sourceVolumeId: string;
    readonly parameters: ReadonlyMap<string, string>;
  }): Promise<Snapshot>;
  remove(id: string): Promise<void>;
  get(id: string): Promise<Snapshot>;
  /** Empty filters match everything; both given must both hold. */
  list(
    filter: { readonly id: string; readonly sourceVolumeId: string },
    page: Page,
  ): Promise<Paged<Snapshot>>;
}

/** Snapshots of several volumes, all taken at one moment. */
export interface SnapshotGroups {
  create(ask: {
    readonly name: string;
    readonly sourceVolumeIds: readonly string[];
    readonly parameters: ReadonlyMap<string, string>;
  }): Promise<SnapshotGroup>;
  /** Deletes the group and its snapshots, which must be the ones listed. Unknown ids succeed. */
  remove(id: string, snapshotIds: readonly string[]): Promise<void>;
  get(id: string, snapshotIds: readonly string[]): Promise<SnapshotGroup>;
}

export interface Attachments {
  /** Resolves to the publish context. */
  publish(ask: {
    readonly id: string;
    readonly node: string;
    readonly capability: Capability;
    readonly readonly: boolean;
    readonly context: ReadonlyMap<string, string>;
  }): Promise<Readonly<Record<string, string>>>;
  /** Detaches from every node where `node` is empty. */
  unpublish(id: string, node: string): Promise<void>;
}

export interface Capacity {
  /** `available` is 0 for a combination that cannot be served and for a root that is not mounted. */
  capacity(ask: {
    readonly capabilities: readonly Capability[];
    readonly parameters: ReadonlyMap<string, string>;
    /** The place that must reach the volume; used only where topology is on. */
    readonly place?: Segments | undefined;
  }): Promise<{
    readonly available: Bytes;
    /** The largest volume; undefined where no volume of any size can be made. */
    readonly maximum: Bytes | undefined;
    readonly minimum: Bytes;
  }>;
}

export interface StageAsk {
  readonly id: string;
  readonly stagingPath: string;
  readonly capability: Capability;
  readonly publishContext: ReadonlyMap<string, string>;
  readonly volumeContext: ReadonlyMap<string, string>;
}

export interface PublishAsk extends StageAsk {
  readonly targetPath: string;
  readonly readonly: boolean;
}

export type VolumeUsage =
  | {
      readonly unit: 'bytes';
      readonly total: Bytes;
      readonly used?: Bytes;
      readonly available?: Bytes;
    }
  | {
      readonly unit: 'inodes';
      readonly total: bigint;
      readonly used?: bigint;
      readonly available?: bigint;
    };

/** Volumes on the node that the pod runs on. */
export interface NodeVolumes {
  stage(ask: StageAsk): Promise<void>;
  unstage(id: string, stagingPath: string): Promise<void>;
  publish(ask: PublishAsk): Promise<void>;
  unpublish(id: string, targetPath: string): Promise<void>;
  stats(id: string, volumePath: string): Promise<readonly VolumeUsage[]>;
  /**
   * Resolves to the size that the volume has on this node afterwards. `kind`: how the caller says that it is used.
   */
  expand(
    id: string,
    volumePath: string,
    range: CapacityRange | undefined,
    kind?: Access['kind'],
  ): Promise<Bytes>;
}

/** Which roots this node has, as keys and values for the scheduler. */
export interface NodeTopology {
  readonly here: () => Promise<Readonly<Record<string, string>>>;
}

/**
 * Whether the driver can work: 'ready' works now; 'starting' may become ready without help. Throws misconfigured
 * where only an administrator can help.
 */
export type Readiness = () => Promise<'ready' | 'starting'>;

/** Everything the gRPC server calls. */
export interface Services {
  readonly driverName: string;
  readonly version: string;
  readonly nodeId: string;
  readonly maxVolumesPerNode: number;
  readonly readiness: Readiness;
  readonly volumes: Volumes;
  readonly snapshots: Snapshots;
  readonly groups: SnapshotGroups;
  readonly attachments: Attachments;
  readonly capacity: Capacity;
  readonly node: NodeVolumes;
  /** Absent where topology is off. */
  readonly topology?: NodeTopology | undefined;
}
