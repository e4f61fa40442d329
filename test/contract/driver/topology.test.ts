import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { afterAll, expect, test, vi } from 'vitest';
import { loadRegistration } from '../../../src/server/proto.ts';
import { MiB } from '../../../src/model/bytes.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { cli, type RealServer } from '../../support/disk/real-server.ts';

const site = await realSite({ size: 1024n * MiB });
// A second mount of the same file system: what counts is where a node has it.
const point = join(site.directory, 'fast');
const fileset = join(site.root, '..', '..', 'fast');
for (const each of [point, fileset]) await mkdir(each);
const bind = ['mount', '--bind', fileset, point] as const;
execFileSync(bind[0], bind.slice(1));
const fast = join(point, 'csi');
await mkdir(fast);

const registrations = join(site.directory, 'registrations');
await mkdir(registrations);
const roots = { root: `${site.root},${fast}`, topology: 'true' };
const a1 = await site.serve('a1', { flags: roots });
const b1 = await site.serve('b1', {
  flags: { ...roots, 'registration-dir': registrations },
  without: [point],
});

afterAll(async () => {
  await Promise.all([a1.end(), b1.end()]);
  execFileSync('umount', [point]);
});

const capability = {
  block: {},
  access_mode: { mode: 'SINGLE_NODE_SINGLE_WRITER' },
} as const;
type Segments = Readonly<Record<string, string>>;
const asked = (name: string, root: string, segments: Segments) => ({
  name,
  volume_capabilities: [capability],
  capacity_range: { required_bytes: String(8n * MiB) },
  parameters: { root },
  accessibility_requirements: { requisite: [{ segments }] },
});

interface Told {
  readonly volume_id: string;
  readonly accessible_topology: readonly { readonly segments: Segments }[];
}
const read = (volume: Told | null) => ({
  id: volume?.volume_id ?? '',
  at: volume?.accessible_topology.map(({ segments }) => segments),
});
const create = async (...request: Parameters<typeof asked>) =>
  read((await a1.ok('CreateVolume', asked(...request))).volume);

const labelsOf = async (server: RealServer): Promise<Segments> =>
  (await server.ok('NodeGetInfo', {})).accessible_topology?.segments ?? {};

const attach = (id: string) => ({
  volume_id: id,
  node_id: 'b1',
  volume_capability: capability,
  readonly: false,
});

const socket = join(registrations, 'gpfs-clone.csi-reg.sock');
/** The roots are looked at every ten seconds, and what was away is not asked for five. */
const offered = (times: number): Promise<void> =>
  vi.waitFor(
    () => {
      expect(b1.log().split('offered to the kubelet')).toHaveLength(times + 1);
    },
    { timeout: 200_000, interval: 50 },
  );

/** What the kubelet does at each offer. */
async function register(): Promise<string | undefined> {
  const client = new (loadRegistration())(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  try {
    return await new Promise((resolve, reject) => {
      client.GetInfo({}, (error: ServiceError | null, reply) => {
        if (error) reject(error);
        else resolve(reply?.name);
      });
    });
  } finally {
    client.close();
  }
}

test('volumes are made, attached and reported as the mounts of two nodes are, and a later mount is reported too', async () => {
  const both = await labelsOf(a1);
  expect(Object.keys(both)).toHaveLength(2);
  await offered(1);
  expect(await register()).toBe('gpfs-clone.csi');
  const one = await labelsOf(b1);
  expect(Object.keys(one)).toHaveLength(1);
  expect(both).toMatchObject(one);
  const other = Object.fromEntries(Object.entries(both).filter(([key]) => !(key in one)));

  const usual = await create('pvc-1', site.root, one);
  expect(usual.at).toEqual([one]);
  expect(await a1.refused('CreateVolume', asked('pvc-2', fast, one))).toMatch(
    /^RESOURCE_EXHAUSTED volume "pvc-2" belongs in root .*\/fast\/csi \(gpfs-clone\.csi\/root-[0-9a-f]{8}\), and none of the nodes/,
  );
  const made = await create('pvc-2', fast, both);
  expect(made.at).toEqual([other]);
  const room = { parameters: { root: fast }, accessible_topology: { segments: one } };
  const nothing = { available_capacity: '0', maximum_volume_size: null };
  expect(await a1.ok('GetCapacity', room)).toMatchObject(nothing);

  await a1.ok('ControllerPublishVolume', attach(usual.id));
  expect(await a1.refused('ControllerPublishVolume', attach(made.id))).toMatch(
    /^NOT_FOUND node b1 has never run this driver with root .*\/fast\/csi; /,
  );
  execFileSync('nsenter', ['--mount', `--target=${b1.pid}`, '--', ...bind]);
  await offered(2);
  expect(await register()).toBe('gpfs-clone.csi');
  expect(await labelsOf(b1)).toEqual(both);
  await a1.ok('ControllerPublishVolume', attach(made.id));
  for (const { id } of [usual, made])
    await a1.ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'b1' });

  const where = ['--root', roots.root, '--mm-dir', site.bin, '--mm-runner', 'direct'];
  const moving = cli(['migrate', usual.id, '--to', fast, ...where, '--topology', 'true']);
  expect([await moving.status, moving.err()]).toEqual([0, '']);
  const [key] = Object.keys(other);
  expect(moving.out()).toContain(`it needs nodes with the label ${key ?? ''} now; `);
  const { entries } = await a1.ok('ListVolumes', {});
  const told = entries.map(({ volume }) => read(volume));
  expect(new Map(told.map(({ id, at }) => [id, at]))).toEqual(
    new Map([usual, made].map(({ id }) => [id, [other]])),
  );
  for (const { id } of [usual, made]) await a1.ok('DeleteVolume', { volume_id: id });
});
