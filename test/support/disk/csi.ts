import type { VolumeCapability, VolumeContentSource } from '../../../src/wire/types.ts';
import type { RealServer } from './real-server.ts';
import type { RealSite } from './real-site.ts';

type Mode =
  | 'SINGLE_NODE_MULTI_WRITER'
  | 'SINGLE_NODE_SINGLE_WRITER'
  | 'MULTI_NODE_MULTI_WRITER'
  | 'MULTI_NODE_READER_ONLY';

/** A raw device. */
export const asBlock = (mode: Mode = 'SINGLE_NODE_MULTI_WRITER'): VolumeCapability => ({
  block: {},
  access_mode: { mode },
});

/** A file system. */
export const asMount = (
  fsType = 'ext4',
  mode: Mode = 'SINGLE_NODE_MULTI_WRITER',
  flags: readonly string[] = [],
): VolumeCapability => ({
  mount: { fs_type: fsType, mount_flags: [...flags] },
  access_mode: { mode },
});

/** The least size, in MiB. */
export const mib = (count: number) => ({ required_bytes: String(count * 1024 * 1024) });

/** What a new volume is made from. */
export const fromSnapshot = (id: string): VolumeContentSource => ({
  snapshot: { snapshot_id: id },
});
export const fromVolume = (id: string): VolumeContentSource => ({ volume: { volume_id: id } });

interface Wanted {
  readonly capability?: VolumeCapability;
  readonly from?: VolumeContentSource;
  readonly mib?: number;
}

/** A request for a volume; by default a raw one of 64 MiB. */
export const volumeRequest = (name: string, { capability, from, mib: size }: Wanted = {}) => ({
  name,
  volume_capabilities: [capability ?? asBlock()],
  ...(from ? { volume_content_source: from } : {}),
  ...(from && size === undefined ? {} : { capacity_range: mib(size ?? 64) }),
});

/** Creates a volume; resolves to its id. */
export async function newVolume(
  server: RealServer,
  name: string,
  wanted: Wanted = {},
): Promise<string> {
  const { volume } = await server.ok('CreateVolume', volumeRequest(name, wanted));
  return volume?.volume_id ?? '';
}

/** Takes a snapshot; resolves to its id. */
export async function newSnapshot(
  server: RealServer,
  name: string,
  source: string,
): Promise<string> {
  const request = { name, source_volume_id: source };
  return (await server.ok('CreateSnapshot', request)).snapshot?.snapshot_id ?? '';
}

/** A volume that a pod uses. */
export interface Used {
  readonly id: string;
  readonly target: string;
  readonly staging: string;
  /** Unpublishes, unstages and detaches the volume. */
  release(): Promise<void>;
}

/** Attaches, stages and publishes a volume on the node of this server. */
export async function use(
  site: RealSite,
  server: RealServer,
  id: string,
  volume_capability = asMount(),
): Promise<Used> {
  const { node } = server;
  const { staging, target } = await site.place(`${node}-${id}`);
  const common = { volume_id: id, volume_capability };
  await server.ok('ControllerPublishVolume', { ...common, node_id: node });
  await server.ok('NodeStageVolume', { ...common, staging_target_path: staging });
  await server.ok('NodePublishVolume', {
    ...common,
    staging_target_path: staging,
    target_path: target,
  });
  return {
    id,
    target,
    staging,
    release: async () => {
      await server.ok('NodeUnpublishVolume', { volume_id: id, target_path: target });
      await server.ok('NodeUnstageVolume', { volume_id: id, staging_target_path: staging });
      await server.ok('ControllerUnpublishVolume', { volume_id: id, node_id: node });
    },
  };
}

/** Deletes volumes and snapshots, in this order. */
export async function remove(
  server: RealServer,
  { volumes = [], snapshots = [] }: { volumes?: readonly string[]; snapshots?: readonly string[] },
): Promise<void> {
  for (const volume_id of volumes) await server.ok('DeleteVolume', { volume_id });
  for (const snapshot_id of snapshots) await server.ok('DeleteSnapshot', { snapshot_id });
}
