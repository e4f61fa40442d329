import type { Access, Capability } from '../../model/capability.ts';
import type { ContentSource, Paged, Snapshot, SnapshotGroup, Volume } from '../../model/volume.ts';
import type { ValidateAsk, Validation, VolumeUsage } from '../../service/api.ts';
import type {
  ControllerGetVolumeResponse,
  CreateSnapshotResponse,
  CreateVolumeGroupSnapshotResponse,
  CreateVolumeResponse,
  ListSnapshotsResponse,
  ListVolumesResponse,
  NodeGetVolumeStatsResponse,
  Snapshot as SnapshotMessage,
  ValidateVolumeCapabilitiesResponse,
  Volume as VolumeMessage,
  VolumeCapability,
  VolumeContentSource,
  VolumeUsage as VolumeUsageMessage,
} from '../../wire/types.ts';

// Every literal has the type of its message: protobuf drops a misspelt field without an error, the
// compiler does not. Sizes are decimal strings, which proto-loader takes for int64.

const sourceMessage = ({ kind, id }: ContentSource): VolumeContentSource =>
  kind === 'snapshot' ? { snapshot: { snapshot_id: id } } : { volume: { volume_id: id } };

const volumeMessage = (volume: Volume): VolumeMessage => ({
  volume_id: volume.id,
  capacity_bytes: String(volume.bytes),
  volume_context: volume.context,
  content_source: volume.source ? sourceMessage(volume.source) : null,
  ...(volume.topology ? { accessible_topology: [{ segments: volume.topology }] } : {}),
});

/** A volume that was created now or earlier. */
export const createVolumeResponse = (volume: Volume): CreateVolumeResponse => ({
  volume: volumeMessage(volume),
});

// For two messages of the same shape: CSI declares the status of a volume twice.
const volumeEntry = (volume: Volume) =>
  ({
    volume: volumeMessage(volume),
    status: { published_node_ids: [...volume.publishedNodes] },
  }) satisfies ControllerGetVolumeResponse;

/** One volume and the nodes that it is attached to. */
export const controllerGetVolumeResponse = (volume: Volume): ControllerGetVolumeResponse =>
  volumeEntry(volume);

/** A page of volumes. */
export const listVolumesResponse = (page: Paged<Volume>): ListVolumesResponse => ({
  entries: page.items.map(volumeEntry),
  next_token: page.next,
});

const snapshotMessage = (snapshot: Snapshot): SnapshotMessage => ({
  snapshot_id: snapshot.id,
  source_volume_id: snapshot.sourceVolumeId,
  size_bytes: String(snapshot.bytes),
  creation_time: timestamp(snapshot.createdMs),
  ready_to_use: snapshot.ready,
  group_snapshot_id: snapshot.groupId ?? '',
});

// A Date would be encoded as the year 1970, without an error.
const timestamp = (ms: number) => ({
  seconds: String(Math.floor(ms / 1000)),
  nanos: Math.round((ms - Math.floor(ms / 1000) * 1000) * 1_000_000),
});

/** A snapshot that was taken now or earlier; also the answer of GetSnapshot. */
export const createSnapshotResponse = (snapshot: Snapshot): CreateSnapshotResponse => ({
  snapshot: snapshotMessage(snapshot),
});

/** A page of snapshots. */
export const listSnapshotsResponse = (page: Paged<Snapshot>): ListSnapshotsResponse => ({
  entries: page.items.map((snapshot) => ({ snapshot: snapshotMessage(snapshot) })),
  next_token: page.next,
});

/** A group that was taken now or earlier; also the answer of GetVolumeGroupSnapshot. */
export const groupResponse = (group: SnapshotGroup): CreateVolumeGroupSnapshotResponse => ({
  group_snapshot: {
    group_snapshot_id: group.id,
    snapshots: group.snapshots.map(snapshotMessage),
    creation_time: timestamp(group.createdMs),
    ready_to_use: group.snapshots.every(({ ready }) => ready),
  },
});

const accessMessage = (access: Access): VolumeCapability =>
  access.kind === 'block'
    ? { block: {} }
    : { mount: { fs_type: access.fsType, mount_flags: [...access.flags] } };

const capabilityMessage = ({ access, mode }: Capability): VolumeCapability => ({
  ...accessMessage(access),
  access_mode: { mode },
});

/** The confirmed request, or why it cannot be confirmed. */
export function validateResponse(
  ask: ValidateAsk,
  answer: Validation,
): ValidateVolumeCapabilitiesResponse {
  if (!answer.confirmed) return { message: answer.message };
  return {
    confirmed: {
      volume_context: Object.fromEntries(ask.context),
      volume_capabilities: ask.capabilities.map(capabilityMessage),
      parameters: Object.fromEntries(ask.parameters),
      mutable_parameters: Object.fromEntries(ask.mutable),
    },
  };
}

const usageMessage = (usage: VolumeUsage): VolumeUsageMessage => ({
  unit: usage.unit === 'bytes' ? 'BYTES' : 'INODES',
  total: String(usage.total),
  used: String(usage.used ?? 0n),
  available: String(usage.available ?? 0n),
});

/** How full a volume is. */
export const statsResponse = (usages: readonly VolumeUsage[]): NodeGetVolumeStatsResponse => ({
  usage: usages.map(usageMessage),
});
