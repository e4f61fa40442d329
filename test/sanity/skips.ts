const health = 'ControllerGetVolumeHealth [Controller Server]';
const controller = 'Controller Service [Controller Server]';

/** The specs that need a capability which the driver does not have: all of them, by name. */
export const allowedSkips: readonly string[] = [
  // Topology of snapshots.
  'CreateSnapshot [Controller Server] > should succeed when creating a snapshot with accessibility requirements',
  // Health.
  `${health} > should fail when no volume id is provided`,
  `${health} > should return health for a valid volume`,
  'ControllerListVolumeHealth [Controller Server] > should return appropriate response',
  'Node Service > NodeGetVolumeHealth > should fail when no volume id is provided',
  'Node Service > NodeGetVolumeHealth > should return health for a valid volume',
  'Node Service > NodeGetStorageHealth > should return appropriate response',
];

/** The one spec that csi-sanity itself never runs. */
export const pending: readonly string[] = [
  `${controller} > ListVolumes > pagination should detect volumes added between pages and accept tokens when the last volume from a page is deleted`,
];
