const mount = {
  mount: { fs_type: 'ext4', mount_flags: ['noatime'] },
  access_mode: { mode: 'SINGLE_NODE_MULTI_WRITER' },
};

/** A capability that the driver serves. */
export const validCapability = mount;

const staging = '/var/lib/kubelet/plugins/csi/globalmount';

/** A valid request for each RPC that the driver serves. */
export const valid = {
  GetPluginInfo: {},
  GetPluginCapabilities: {},
  Probe: {},
  CreateVolume: { name: 'pvc-1', volume_capabilities: [mount] },
  DeleteVolume: { volume_id: 'pvc-1' },
  ControllerPublishVolume: { volume_id: 'pvc-1', node_id: 'a1', volume_capability: mount },
  ControllerUnpublishVolume: { volume_id: 'pvc-1' },
  ValidateVolumeCapabilities: { volume_id: 'pvc-1', volume_capabilities: [mount] },
  ListVolumes: {},
  GetCapacity: {},
  ControllerGetCapabilities: {},
  CreateSnapshot: { source_volume_id: 'pvc-1', name: 'snap' },
  DeleteSnapshot: { snapshot_id: 'snap-1' },
  ListSnapshots: {},
  GetSnapshot: { snapshot_id: 'snap-1' },
  ControllerExpandVolume: { volume_id: 'pvc-1', capacity_range: { required_bytes: '1' } },
  ControllerGetVolume: { volume_id: 'pvc-1' },
  ControllerModifyVolume: { volume_id: 'pvc-1', mutable_parameters: { pool: 'data' } },
  GroupControllerGetCapabilities: {},
  CreateVolumeGroupSnapshot: { name: 'group', source_volume_ids: ['pvc-1', 'pvc-2'] },
  DeleteVolumeGroupSnapshot: { group_snapshot_id: 'group-1', snapshot_ids: ['snap-1'] },
  GetVolumeGroupSnapshot: { group_snapshot_id: 'group-1', snapshot_ids: ['snap-1'] },
  NodeStageVolume: { volume_id: 'pvc-1', staging_target_path: staging, volume_capability: mount },
  NodeUnstageVolume: { volume_id: 'pvc-1', staging_target_path: staging },
  NodePublishVolume: {
    volume_id: 'pvc-1',
    staging_target_path: staging,
    target_path: '/var/lib/kubelet/pods/1/mount',
    volume_capability: mount,
  },
  NodeUnpublishVolume: { volume_id: 'pvc-1', target_path: '/var/lib/kubelet/pods/1/mount' },
  NodeGetVolumeStats: { volume_id: 'pvc-1', volume_path: '/var/lib/kubelet/pods/1/mount' },
  NodeExpandVolume: { volume_id: 'pvc-1', volume_path: '/var/lib/kubelet/pods/1/mount' },
  NodeGetCapabilities: {},
  NodeGetInfo: {},
} as const;

/** An RPC that the driver serves. */
export type Served = keyof typeof valid;
