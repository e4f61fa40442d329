import { expect, test } from 'vitest';
import { DriverError } from '../../../src/model/fault.ts';
import { GiB, MiB } from '../../../src/model/bytes.ts';
import type { Readiness } from '../../../src/service/api.ts';
import { serving } from '../../support/server/serve.ts';
import { memoryServices, volume } from '../../support/server/services.ts';
import { valid } from '../../support/server/valid.ts';

const wireVolume = {
  volume_id: 'pvc-1',
  capacity_bytes: '9223372036854775807',
  volume_context: { root: '/gpfs/fs1' },
  content_source: { type: 'snapshot', snapshot: { snapshot_id: 'snap-1' } },
};
const wireSnapshot = {
  snapshot_id: 'snap-1',
  source_volume_id: 'pvc-1',
  size_bytes: String(GiB),
  creation_time: { seconds: '1790000000', nanos: 500_000_000 },
  ready_to_use: true,
  group_snapshot_id: '',
};
const wireGroup = {
  group_snapshot: {
    group_snapshot_id: 'group-1',
    snapshots: [{ ...wireSnapshot, group_snapshot_id: 'group-1' }],
    creation_time: wireSnapshot.creation_time,
    ready_to_use: true,
  },
};
const rpc = (type: string) => ({ rpc: { type } });

const replies = {
  GetPluginInfo: { name: 'gpfs-clone.csi', vendor_version: '0.1.0' },
  GetPluginCapabilities: {
    capabilities: [
      { service: { type: 'CONTROLLER_SERVICE' } },
      { service: { type: 'GROUP_CONTROLLER_SERVICE' } },
      { volume_expansion: { type: 'ONLINE' } },
    ],
  },
  Probe: { ready: { value: true } },
  CreateVolume: { volume: wireVolume },
  DeleteVolume: {},
  ControllerPublishVolume: { publish_context: { generation: '3' } },
  ControllerUnpublishVolume: {},
  ValidateVolumeCapabilities: {
    confirmed: { volume_capabilities: [valid.CreateVolume.volume_capabilities[0]] },
    message: '',
  },
  ListVolumes: {
    entries: [{ volume: wireVolume, status: { published_node_ids: ['a1', 'b2'] } }],
    next_token: 'after-1',
  },
  GetCapacity: {
    available_capacity: String(5n * GiB),
    maximum_volume_size: { value: String(4n * GiB) },
    minimum_volume_size: { value: String(MiB) },
  },
  CreateSnapshot: { snapshot: wireSnapshot },
  DeleteSnapshot: {},
  ListSnapshots: { entries: [{ snapshot: wireSnapshot }], next_token: '' },
  GetSnapshot: { snapshot: wireSnapshot },
  ControllerModifyVolume: {},
  ControllerExpandVolume: { capacity_bytes: String(2n * GiB), node_expansion_required: true },
  ControllerGetVolume: { volume: wireVolume, status: { published_node_ids: ['a1', 'b2'] } },
  ControllerGetCapabilities: {
    capabilities: [
      rpc('CREATE_DELETE_VOLUME'),
      rpc('PUBLISH_UNPUBLISH_VOLUME'),
      rpc('LIST_VOLUMES'),
      rpc('GET_CAPACITY'),
      rpc('CREATE_DELETE_SNAPSHOT'),
      rpc('LIST_SNAPSHOTS'),
      rpc('CLONE_VOLUME'),
      rpc('PUBLISH_READONLY'),
      rpc('EXPAND_VOLUME'),
      rpc('LIST_VOLUMES_PUBLISHED_NODES'),
      rpc('GET_VOLUME'),
      rpc('SINGLE_NODE_MULTI_WRITER'),
      rpc('GET_SNAPSHOT'),
      rpc('MODIFY_VOLUME'),
    ],
  },
  GroupControllerGetCapabilities: {
    capabilities: [rpc('CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT')],
  },
  CreateVolumeGroupSnapshot: wireGroup,
  DeleteVolumeGroupSnapshot: {},
  GetVolumeGroupSnapshot: wireGroup,
  NodeStageVolume: {},
  NodeUnstageVolume: {},
  NodePublishVolume: {},
  NodeUnpublishVolume: {},
  NodeGetVolumeStats: {
    usage: [
      { unit: 'BYTES', total: String(GiB), used: '1', available: '2' },
      { unit: 'INODES', total: '10', used: '0', available: '0' },
    ],
  },
  NodeExpandVolume: { capacity_bytes: String(3n * GiB) },
  NodeGetCapabilities: {
    capabilities: [
      rpc('STAGE_UNSTAGE_VOLUME'),
      rpc('GET_VOLUME_STATS'),
      rpc('EXPAND_VOLUME'),
      rpc('SINGLE_NODE_MULTI_WRITER'),
    ],
  },
  NodeGetInfo: { node_id: 'a1', max_volumes_per_node: '12' },
} as const satisfies Record<keyof typeof valid, object>;

test('every reply arrives as CSI spells it', async () => {
  const { services } = memoryServices();
  const { client } = await serving({
    ...services,
    node: {
      ...services.node,
      expand: () => Promise.resolve(3n * GiB),
      stats: () =>
        Promise.resolve([
          { unit: 'bytes', total: GiB, used: 1n, available: 2n },
          { unit: 'inodes', total: 10n },
        ]),
    },
  });
  for (const [name, reply] of Object.entries(replies)) {
    const answer = await client.call(name, valid[name as keyof typeof valid]);
    expect(answer).toMatchObject({ code: 'OK', reply });
  }
});

test('a capability that is not served is answered, not refused', async () => {
  const { services } = memoryServices();
  const validate = () => Promise.resolve({ confirmed: false, message: 'not here' } as const);
  const { client } = await serving({ ...services, volumes: { ...services.volumes, validate } });
  expect(
    await client.call('ValidateVolumeCapabilities', valid.ValidateVolumeCapabilities),
  ).toMatchObject({ code: 'OK', reply: { confirmed: null, message: 'not here' } });
});

test('topology is spoken of where it is on, and nowhere else', async () => {
  const { services } = memoryServices();
  const segments = { 'gpfs-clone.csi/root-1a2b3c4d': 'mounted' };
  const placed = { ...volume, topology: segments };
  const maximum = { available: 0n, maximum: undefined, minimum: MiB };
  const { client } = await serving({
    ...services,
    topology: { here: () => Promise.resolve(segments) },
    volumes: {
      ...services.volumes,
      create: () => Promise.resolve(placed),
      get: () => Promise.resolve(placed),
      list: () => Promise.resolve({ items: [placed], next: '' }),
    },
    capacity: { capacity: () => Promise.resolve(maximum) },
  });
  const reply = async (name: keyof typeof valid) => (await client.call(name, valid[name])).reply;
  expect(await reply('GetPluginCapabilities')).toMatchObject({
    capabilities: [
      { service: { type: 'CONTROLLER_SERVICE' } },
      { service: { type: 'GROUP_CONTROLLER_SERVICE' } },
      { service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' } },
      { volume_expansion: { type: 'ONLINE' } },
    ],
  });
  expect(await reply('NodeGetInfo')).toMatchObject({ accessible_topology: { segments } });
  const told = { volume: { accessible_topology: [{ segments }] } };
  expect(await reply('CreateVolume')).toMatchObject(told);
  expect(await reply('ControllerGetVolume')).toMatchObject(told);
  expect(await reply('ListVolumes')).toMatchObject({ entries: [told] });
  expect(await reply('GetCapacity')).toMatchObject({
    available_capacity: '0',
    maximum_volume_size: null,
  });

  const off = await serving(services);
  const info = await off.client.call('NodeGetInfo', {});
  expect(info.reply).toMatchObject({ accessible_topology: null });
  const made = await off.client.call('CreateVolume', valid.CreateVolume);
  expect(made.reply).toMatchObject({ volume: { accessible_topology: [] } });
});

test('a node that has no root says so, and not that it may be anywhere', async () => {
  const { services } = memoryServices();
  const nowhere = { here: () => Promise.resolve({}) };
  const { client } = await serving({ ...services, topology: nowhere });
  const { reply } = await client.call('NodeGetInfo', {});
  expect(reply).toMatchObject({ accessible_topology: { segments: {} } });
});

test('Probe tells starting, ready and unable apart', async () => {
  const { services } = memoryServices();
  const after: readonly (readonly [Readiness, object])[] = [
    [() => Promise.resolve('starting'), { code: 'OK', reply: { ready: { value: false } } }],
    [() => Promise.resolve('ready'), { code: 'OK', reply: { ready: { value: true } } }],
    [
      () => Promise.reject(new DriverError('misconfigured', 'no mmclone')),
      { code: 'FAILED_PRECONDITION', details: 'no mmclone' },
    ],
    [
      () => Promise.reject(new DriverError('unavailable', 'not mounted')),
      { code: 'FAILED_PRECONDITION', details: 'not mounted' },
    ],
    [() => Promise.reject(new Error('bug')), { code: 'INTERNAL', details: 'internal error' }],
  ];
  for (const [readiness, answer] of after) {
    const { client } = await serving({ ...services, readiness });
    expect(await client.call('Probe', {})).toMatchObject(answer);
  }
});
