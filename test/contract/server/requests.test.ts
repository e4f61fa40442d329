import { expect, test } from 'vitest';
import { serving } from '../../support/server/serve.ts';
import { memoryServices } from '../../support/server/services.ts';
import { valid, validCapability as mount, type Served } from '../../support/server/valid.ts';

const max = '9223372036854775807';
const long = 'x'.repeat(129);
// 129 bytes in 43 characters and 3 bytes more than fit.
const longInBytes = '漢'.repeat(43);
const bigMap = { a: 'x'.repeat(4096) };
const flags = (...mount_flags: string[]) => ({ ...mount, mount: { ...mount.mount, mount_flags } });
const one = (capability: object) => ({ volume_capabilities: [capability] });
const staged = (capability: object) => ({ volume_capability: capability });
const path = (text: string) => ({ target_path: text });

// RPC, what is changed in a valid request, and the field that the answer must name.
const refused: readonly (readonly [Served, object, string])[] = [
  ['CreateVolume', { name: '' }, 'name'],
  ['CreateVolume', { name: 'a\u0007b' }, 'name'],
  ['CreateVolume', { name: 'a\u0085b' }, 'name'],
  ['CreateVolume', { name: long }, 'name'],
  ['CreateVolume', { name: longInBytes }, 'name'],
  ['CreateVolume', { name: 'a\uFFFDb' }, 'name'],
  ['CreateVolume', { volume_capabilities: [] }, 'volume_capabilities'],
  ['CreateVolume', one({ access_mode: mount.access_mode }), 'volume_capabilities[0].access_type'],
  ['CreateVolume', one({ mount: {} }), 'volume_capabilities[0].access_mode'],
  ['CreateVolume', one({ block: {}, access_mode: {} }), 'volume_capabilities[0].access_mode.mode'],
  [
    'CreateVolume',
    one({ block: {}, access_mode: { mode: 99 } }),
    'volume_capabilities[0].access_mode.mode',
  ],
  ['CreateVolume', { volume_capabilities: [mount, {}] }, 'volume_capabilities[1].access_type'],
  [
    'CreateVolume',
    one({ ...mount, mount: { volume_mount_group: '7' } }),
    'volume_capabilities[0].mount.volume_mount_group',
  ],
  ['CreateVolume', { parameters: bigMap }, 'parameters'],
  ['CreateVolume', { secrets: bigMap }, 'secrets'],
  ['CreateVolume', { mutable_parameters: bigMap }, 'mutable_parameters'],
  ['CreateVolume', { capacity_range: {} }, 'capacity_range'],
  ['CreateVolume', { capacity_range: { required_bytes: '-1' } }, 'capacity_range.required_bytes'],
  ['CreateVolume', { capacity_range: { limit_bytes: '-5' } }, 'capacity_range.limit_bytes'],
  [
    'CreateVolume',
    { capacity_range: { required_bytes: max, limit_bytes: '1' } },
    'capacity_range.required_bytes',
  ],
  ['CreateVolume', { volume_content_source: {} }, 'volume_content_source.type'],
  [
    'CreateVolume',
    { volume_content_source: { snapshot: {} } },
    'volume_content_source.snapshot.snapshot_id',
  ],
  [
    'CreateVolume',
    { volume_content_source: { volume: {} } },
    'volume_content_source.volume.volume_id',
  ],
  ['CreateVolume', one(flags('x'.repeat(4097))), 'volume_capabilities[0].mount.mount_flags'],
  ['CreateVolume', one(flags('ro', 'loop')), 'volume_capabilities[0].mount.mount_flags[1]'],
  ['NodeStageVolume', staged(flags('noatime,suid')), 'volume_capability.mount.mount_flags[0]'],
  ['NodePublishVolume', staged(flags('a b')), 'volume_capability.mount.mount_flags[0]'],
  ['DeleteVolume', { volume_id: '' }, 'volume_id'],
  ['DeleteVolume', { volume_id: long }, 'volume_id'],
  ['ControllerPublishVolume', { volume_id: '' }, 'volume_id'],
  ['ControllerPublishVolume', { node_id: '' }, 'node_id'],
  ['ControllerPublishVolume', { node_id: 'n'.repeat(257) }, 'node_id'],
  ['ControllerPublishVolume', { volume_capability: null }, 'volume_capability'],
  ['ControllerPublishVolume', { volume_context: bigMap }, 'volume_context'],
  ['ControllerUnpublishVolume', { volume_id: '' }, 'volume_id'],
  ['ValidateVolumeCapabilities', { volume_id: '' }, 'volume_id'],
  ['ValidateVolumeCapabilities', { volume_capabilities: [] }, 'volume_capabilities'],
  ['ValidateVolumeCapabilities', one({ block: {} }), 'volume_capabilities[0].access_mode'],
  ['ListVolumes', { max_entries: -1 }, 'max_entries'],
  ['ListSnapshots', { max_entries: -5 }, 'max_entries'],
  ['GetCapacity', one({}), 'volume_capabilities[0].access_type'],
  ['CreateSnapshot', { name: '' }, 'name'],
  ['CreateSnapshot', { name: 'a\u009fb' }, 'name'],
  ['CreateSnapshot', { name: long }, 'name'],
  ['CreateSnapshot', { source_volume_id: '' }, 'source_volume_id'],
  ['DeleteSnapshot', { snapshot_id: '' }, 'snapshot_id'],
  ['GetSnapshot', { snapshot_id: '' }, 'snapshot_id'],
  ['CreateVolumeGroupSnapshot', { name: '' }, 'name'],
  ['CreateVolumeGroupSnapshot', { name: 'a\u0000b' }, 'name'],
  ['CreateVolumeGroupSnapshot', { name: long }, 'name'],
  ['CreateVolumeGroupSnapshot', { source_volume_ids: [] }, 'source_volume_ids'],
  ['CreateVolumeGroupSnapshot', { source_volume_ids: ['a', ''] }, 'source_volume_ids[1]'],
  ['CreateVolumeGroupSnapshot', { source_volume_ids: ['a', 'b', 'a'] }, 'source_volume_ids'],
  ['CreateVolumeGroupSnapshot', { source_volume_ids: [long] }, 'source_volume_ids[0]'],
  ['CreateVolumeGroupSnapshot', { parameters: bigMap }, 'parameters'],
  ['CreateVolumeGroupSnapshot', { secrets: bigMap }, 'secrets'],
  ['DeleteVolumeGroupSnapshot', { group_snapshot_id: '' }, 'group_snapshot_id'],
  ['DeleteVolumeGroupSnapshot', { snapshot_ids: [''] }, 'snapshot_ids[0]'],
  ['GetVolumeGroupSnapshot', { group_snapshot_id: '' }, 'group_snapshot_id'],
  ['GetVolumeGroupSnapshot', { group_snapshot_id: long }, 'group_snapshot_id'],
  ['ControllerGetVolume', { volume_id: '' }, 'volume_id'],
  ['ControllerModifyVolume', { volume_id: '' }, 'volume_id'],
  ['ControllerModifyVolume', { mutable_parameters: {} }, 'mutable_parameters'],
  ['ControllerModifyVolume', { mutable_parameters: bigMap }, 'mutable_parameters'],
  ['ControllerExpandVolume', { volume_id: '' }, 'volume_id'],
  ['ControllerExpandVolume', { capacity_range: null }, 'capacity_range'],
  ['ControllerExpandVolume', { capacity_range: {} }, 'capacity_range'],
  ['NodeStageVolume', { volume_id: '' }, 'volume_id'],
  ['NodeStageVolume', { staging_target_path: '' }, 'staging_target_path'],
  ['NodeStageVolume', { staging_target_path: 'a/b' }, 'staging_target_path'],
  ['NodeStageVolume', { volume_capability: null }, 'volume_capability'],
  ['NodeUnstageVolume', { staging_target_path: '' }, 'staging_target_path'],
  ['NodePublishVolume', path(''), 'target_path'],
  ['NodePublishVolume', path('/a/../b'), 'target_path'],
  ['NodePublishVolume', path('/a\0b'), 'target_path'],
  ['NodePublishVolume', path(`/${'x'.repeat(4095)}`), 'target_path'],
  ['NodePublishVolume', { staging_target_path: 'a' }, 'staging_target_path'],
  ['NodeUnpublishVolume', { volume_id: '' }, 'volume_id'],
  ['NodeUnpublishVolume', path('relative'), 'target_path'],
  ['NodeGetVolumeStats', { volume_id: '' }, 'volume_id'],
  ['NodeGetVolumeStats', { volume_path: '' }, 'volume_path'],
  ['NodeExpandVolume', { volume_path: '' }, 'volume_path'],
  [
    'NodeExpandVolume',
    { capacity_range: { required_bytes: '-1' } },
    'capacity_range.required_bytes',
  ],
];

test('a malformed request is refused, its field is named, and no service hears of it', async () => {
  const { services, seen } = memoryServices();
  const { client } = await serving(services);
  for (const [rpc, change, field] of refused) {
    const { code, details } = await client.call(rpc, { ...valid[rpc], ...change });
    expect({ rpc, change, code, field: details.split(' ')[0] }).toEqual({
      rpc,
      change,
      code: 'INVALID_ARGUMENT',
      field,
    });
    expect(details.length).toBeGreaterThan(field.length + 1);
  }
  expect(seen).toEqual([]);
});

const accepted: readonly (readonly [Served, object])[] = [
  ['CreateVolume', { name: `${'漢'.repeat(42)}ab` }],
  ['CreateVolume', { name: '../a/b\t\n\r 🐘' }],
  ['CreateVolume', { name: 'x'.repeat(128), capacity_range: { limit_bytes: max } }],
  ['CreateVolume', { capacity_range: { required_bytes: max, limit_bytes: max } }],
  ['CreateVolume', { accessibility_requirements: { requisite: [{ segments: { z: '1' } }] } }],
  ['CreateVolume', { parameters: { a: 'x'.repeat(4095) } }],
  ['CreateVolume', one({ block: {}, access_mode: { mode: 'MULTI_NODE_MULTI_WRITER' } })],
  ['DeleteVolume', { volume_id: 'fake-vol-id/../☠' }],
  ['ControllerPublishVolume', { node_id: 'n'.repeat(256), readonly: true }],
  ['ListVolumes', { starting_token: 'x'.repeat(5000), max_entries: 2 ** 31 - 1 }],
  ['NodePublishVolume', path(`/${'x'.repeat(4094)}`)],
  ['NodePublishVolume', path('/with space/☃\n')],
  ['NodeStageVolume', { publish_context: { device: '/dev/mock' } }],
];

test('a request at the edge of what CSI allows reaches the service', async () => {
  const { services, seen } = memoryServices();
  const { client } = await serving(services);
  for (const [rpc, change] of accepted)
    expect({
      rpc,
      change,
      ...(await client.call(rpc, { ...valid[rpc], ...change })),
    }).toMatchObject({ code: 'OK' });
  expect(seen).toHaveLength(accepted.length);
});

test('a path that nothing is known of is not found, whatever its form', async () => {
  const { client } = await serving();
  for (const rpc of ['NodeGetVolumeStats', 'NodeExpandVolume'])
    expect(await client.call(rpc, { volume_id: 'v', volume_path: 'some/path' })).toMatchObject({
      code: 'NOT_FOUND',
      details: 'volume v is not at some/path',
    });
});

test('publishing without a staging path fails as a precondition, after what is malformed', async () => {
  const { client } = await serving();
  const request = { ...valid.NodePublishVolume, staging_target_path: '' };
  expect(await client.call('NodePublishVolume', request)).toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  expect(
    await client.call('NodePublishVolume', { ...request, volume_capability: null }),
  ).toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('of two access types on the wire the one that the decoder names counts, alone', async () => {
  const { services, seen } = memoryServices();
  const { client } = await serving(services);
  // volume_id "v", node_id "n", and a capability with mount (2), block (1), access_mode (3).
  const capability = [0x12, 0x00, 0x0a, 0x00, 0x1a, 0x02, 0x08, 0x01];
  const bytes = Uint8Array.of(0x0a, 1, 0x76, 0x12, 1, 0x6e, 0x1a, capability.length, ...capability);
  expect(await client.raw('ControllerPublishVolume', bytes)).toMatchObject({ code: 'OK' });
  expect(seen[0]?.ask).toMatchObject([
    { capability: { access: { kind: 'mount', fsType: '', flags: [] } } },
  ]);
});

test('places reach the service as they are, also those that nobody ever gave out', async () => {
  const { services, seen } = memoryServices();
  const { client } = await serving(services);
  const segments = Object.fromEntries([['__proto__', 'x'.repeat(4100)]]);
  const topology = { requisite: [{ segments }, {}], preferred: [{ segments: { a: 'b' } }] };
  await client.call('CreateVolume', {
    ...valid.CreateVolume,
    accessibility_requirements: topology,
  });
  await client.call('GetCapacity', { accessible_topology: { segments } });
  await client.call('GetCapacity', { accessible_topology: {} });
  await client.call('GetCapacity', {});
  const strange = new Map([['__proto__', 'x'.repeat(4100)]]);
  expect(seen[0]?.ask).toMatchObject([
    { requirement: { requisite: [strange, new Map()], preferred: [new Map([['a', 'b']])] } },
  ]);
  expect(seen.slice(1).map(({ ask }) => ask)).toMatchObject([
    [{ place: strange }],
    [{ place: new Map() }],
    [{ place: undefined }],
  ]);
});

test('paths and maps reach the service in one spelling', async () => {
  const { services, seen } = memoryServices();
  const { client } = await serving(services);
  await client.call('NodeUnpublishVolume', { volume_id: 'v', target_path: '/a//b/./c/' });
  await client.call('CreateVolume', {
    ...valid.CreateVolume,
    parameters: Object.fromEntries([['__proto__', 'x']]),
  });
  expect(seen[0]?.ask).toEqual(['v', '/a/b/c']);
  expect(seen[1]?.ask).toMatchObject([{ parameters: new Map([['__proto__', 'x']]) }]);
});
