import type { Bytes } from './bytes.ts';
import type { Capability } from './capability.ts';
import type { TopologyRequirement } from './topology.ts';

/** What a caller may say about size: 0 and absent mean "not said". */
export interface CapacityRange {
  readonly requiredBytes: Bytes;
  readonly limitBytes: Bytes;
}

/** Where the content of a new volume comes from. */
export interface ContentSource {
  readonly kind: 'snapshot' | 'volume';
  readonly id: string;
}

/** A request for a volume, decoded and checked for form. */
export interface VolumeSpec {
  readonly name: string;
  readonly range: CapacityRange | undefined;
  readonly capabilities: readonly Capability[];
  /** What the StorageClass says, overridden by the VolumeAttributesClass. */
  readonly parameters: ReadonlyMap<string, string>;
  /** What the VolumeAttributesClass says alone. */
  readonly mutable: ReadonlyMap<string, string>;
  readonly source: ContentSource | undefined;
  /** From where it must be usable; counts only where topology is on. */
  readonly requirement?: TopologyRequirement | undefined;
}

/** A volume as callers see it. */
export interface Volume {
  readonly id: string;
  readonly bytes: Bytes;
  /** Immutable; the same on every report of this id. */
  readonly context: Readonly<Record<string, string>>;
  readonly source: ContentSource | undefined;
  readonly publishedNodes: readonly string[];
  /** From where it can be used; undefined where topology is off, and it is the same everywhere. */
  readonly topology?: Readonly<Record<string, string>> | undefined;
}

/** A snapshot as callers see it. */
export interface Snapshot {
  readonly id: string;
  readonly sourceVolumeId: string;
  readonly bytes: Bytes;
  readonly createdMs: number;
  readonly ready: boolean;
  /** The group that it was taken with. */
  readonly groupId?: string;
}

/** Snapshots of several volumes, all of one moment. */
export interface SnapshotGroup {
  readonly id: string;
  readonly snapshots: readonly Snapshot[];
  readonly createdMs: number;
}

/** A part of a list: `token` as given out with the part before it, '' for the first. */
export interface Page {
  /** 0: the caller sets no limit. */
  readonly max: number;
  readonly token: string;
}

export interface Paged<T> {
  readonly items: readonly T[];
  /** Empty when nothing follows. */
  readonly next: string;
}
