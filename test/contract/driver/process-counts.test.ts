import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../../src/cli/command/config.ts';
import { startServer } from '../../../src/cli/server/assemble.ts';
import type { RunningServer } from '../../../src/cli/server/open.ts';
import { GiB, MiB } from '../../../src/model/bytes.ts';
import { importImage } from '../../../src/service/images/images.ts';
import type { Fields, Log } from '../../../src/observe/log.ts';
import { executables, type Executables } from '../../support/disk/executables.ts';
import { connectTo, type TestClient } from '../../support/server/client.ts';

// What a request costs in processes: those that the design allows, each in its order, and no other.

let ground: Executables;
let server: RunningServer;
let client: TestClient;
let started: string[] = [];

const named = ([program = '', ...rest]: readonly string[]): string => {
  const name = basename(program);
  if (name === 'mmclone') return `${name} ${rest[0] ?? ''}`;
  if (name !== 'losetup') return name;
  return `${name} ${rest.find((flag) => ['-f', '-d'].includes(flag)) ?? '-O'}`;
};

const note = ({ argv }: Fields, message: string): void => {
  if (message.startsWith('command ')) started.push(named(argv as readonly string[]));
};
const log: Log = { debug: note, info: note, warn: note, error: note };

beforeAll(async () => {
  ground = await executables();
  const root = join(ground.simulator.filesetPath, 'csi');
  await mkdir(root);
  const flags = {
    root,
    'mm-dir': ground.simulator.bin,
    probe: 'never',
    // Its commands would be counted as those of a request.
    compaction: 'paused',
    'mm-runner': 'direct',
    'node-id': 'a1',
    'state-dir': join(ground.work, 'state'),
    'kubelet-dir': join(ground.work, 'kubelet'),
  };
  const argv = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const socket = join(ground.work, 'csi.sock');
  server = await startServer(readConfig(argv, { CSI_ENDPOINT: `unix://${socket}` }, 'a1'), log);
  await server.driver.roots.all();
  client = connectTo(socket);
});

afterAll(async () => {
  client.close();
  await server.close();
  const problems = await ground.problems();
  await ground.close();
  expect(problems).toEqual([]);
});

/** The processes that one request starts. */
async function cost(rpc: string, request: object): Promise<readonly string[]> {
  started = [];
  await ok(rpc, request);
  return started;
}

async function ok(rpc: string, request: object): Promise<unknown> {
  const { code, details, reply } = await client.call(rpc, request);
  expect(`${code} ${details}`.trim()).toBe('OK');
  return reply;
}

const mode = 'SINGLE_NODE_MULTI_WRITER';
const block = { block: {}, access_mode: { mode } };
const mounted = (fsType: string) => ({ mount: { fs_type: fsType }, access_mode: { mode } });
const attributes = { dataReplicas: '1' };

let last = 0;
const creation = (rest: object = {}) => ({
  name: `pvc-${(last += 1)}`,
  capacity_range: { required_bytes: String(512n * MiB) },
  volume_capabilities: [block],
  ...rest,
});

async function volume(rest: object = {}): Promise<string> {
  const made = (await ok('CreateVolume', creation(rest))) as { volume: { volume_id: string } };
  return made.volume.volume_id;
}

async function snapshot(of: string): Promise<string> {
  const request = { source_volume_id: of, name: `snapshot-${(last += 1)}` };
  const made = (await ok('CreateSnapshot', request)) as { snapshot: { snapshot_id: string } };
  return made.snapshot.snapshot_id;
}

const restoring = (id: string) => ({ volume_content_source: { snapshot: { snapshot_id: id } } });
const cloning = (id: string) => ({ volume_content_source: { volume: { volume_id: id } } });
const attaching = (id: string, capability: object) => ({
  volume_id: id,
  node_id: 'a1',
  volume_capability: capability,
});

/** The processes of an attachment of a volume that a node has marked which never came back. */
async function fenceCost(rest: object): Promise<readonly string[]> {
  const id = await volume(rest);
  const [store] = await server.driver.roots.all();
  const held = await store?.volumes.read(id.slice(id.indexOf('.') + 1));
  const image = held?.value.image;
  if (!store || !image) throw new Error(`volume ${id} has no image`);
  await store.marks.set(image.key, { ...server.driver.host.self, node: 'lost1' });
  return cost('ControllerPublishVolume', attaching(id, block));
}

describe('controller', () => {
  test('create starts nothing, with attributes mmchattr', async () => {
    expect(await cost('CreateVolume', creation())).toEqual([]);
    expect(await cost('CreateVolume', creation({ parameters: attributes }))).toEqual(['mmchattr']);
  });

  test('capacity starts nothing; that of a pool is asked for once a minute, and serves create too', async () => {
    expect(await cost('GetCapacity', { volume_capabilities: [block] })).toEqual([]);
    const ofPool = { volume_capabilities: [block], parameters: { pool: 'data' } };
    expect(await cost('GetCapacity', ofPool)).toEqual(['mmlspool']);
    expect(await cost('GetCapacity', ofPool)).toEqual([]);
    const pooled = creation({ parameters: { pool: 'data' } });
    expect(await cost('CreateVolume', pooled)).toEqual(['mmchattr']);
  });

  test('snapshot is one command', async () => {
    const request = { source_volume_id: await volume(), name: 'one' };
    expect(await cost('CreateSnapshot', request)).toEqual(['mmclone snap']);
    expect(await cost('CreateSnapshot', request)).toEqual([]);
  });

  test('restore is one command, with attributes two, larger too', async () => {
    const source = restoring(await snapshot(await volume()));
    expect(await cost('CreateVolume', creation(source))).toEqual(['mmclone copy']);
    const larger = { ...source, capacity_range: { required_bytes: String(GiB) } };
    expect(await cost('CreateVolume', creation(larger))).toEqual(['mmclone copy']);
    const withAttributes = creation({ ...source, parameters: attributes });
    expect(await cost('CreateVolume', withAttributes)).toEqual(['mmclone copy', 'mmchattr']);
  });

  test('clone is two commands, and one where the hidden parent serves again', async () => {
    const id = await volume();
    const both = ['mmclone snap', 'mmclone copy'];
    expect(await cost('CreateVolume', creation(cloning(id)))).toEqual(both);
    expect(await cost('CreateVolume', creation(cloning(id)))).toEqual(['mmclone copy']);
    await ok('ControllerPublishVolume', attaching(id, block));
    await ok('ControllerUnpublishVolume', { volume_id: id, node_id: 'a1' });
    expect(await cost('CreateVolume', creation(cloning(id)))).toEqual(both);
  });

  test('a volume of an image is one command: the first, and every other', async () => {
    const [store] = await server.driver.roots.all();
    if (!store) throw new Error('no root');
    await importImage(server.driver.host, store, {
      name: 'golden',
      format: 'qcow2',
      bytes: MiB,
      place: async (path, bytes) => {
        await store.files.createSparse(path, bytes, 0o640);
        return false;
      },
      sectorBytes: () => Promise.resolve(512),
    });
    const golden = { parameters: { image: 'golden' } };
    expect(await cost('CreateVolume', creation(golden))).toEqual(['mmclone copy']);
    expect(await cost('CreateVolume', creation(golden))).toEqual(['mmclone copy']);
    const parameters = { ...golden.parameters, ...attributes };
    const both = ['mmclone copy', 'mmchattr'];
    expect(await cost('CreateVolume', creation({ parameters }))).toEqual(both);
  });

  test('a thick volume is one process for each 256 GiB, and no mm command', async () => {
    const thick = { provisioning: 'thick' };
    expect(await cost('CreateVolume', creation({ parameters: thick }))).toEqual(['fallocate']);
    const volume_id = await volume({ parameters: thick });
    const capacity_range = { required_bytes: String(520n * MiB) };
    expect(await cost('ControllerExpandVolume', { volume_id, capacity_range })).toEqual([
      'fallocate',
    ]);
  });

  test('retype is one command, again none, and options cost none', async () => {
    const volume_id = await volume();
    const retype = { volume_id, mutable_parameters: { pool: 'data', dataReplicas: '1' } };
    expect(await cost('ControllerModifyVolume', retype)).toEqual(['mmchattr']);
    expect(await cost('ControllerModifyVolume', retype)).toEqual([]);
    const options = { volume_id, mutable_parameters: { maxCloneDepth: '4', discard: 'off' } };
    expect(await cost('ControllerModifyVolume', options)).toEqual([]);
  });

  test('expand, attach, detach, looks and lists start nothing', async () => {
    const id = await volume();
    const capacity_range = { required_bytes: String(GiB) };
    const costs = [
      await cost('ControllerExpandVolume', { volume_id: id, capacity_range }),
      await cost('ControllerPublishVolume', attaching(id, block)),
      await cost('ControllerGetVolume', { volume_id: id }),
      await cost('ListVolumes', { max_entries: 1000 }),
      await cost('ListSnapshots', { max_entries: 1000 }),
      await cost('ControllerUnpublishVolume', { volume_id: id, node_id: 'a1' }),
      await cost('Probe', {}),
    ];
    expect(costs.flat()).toEqual([]);
  });

  test('an attachment that cuts a lost node off is two commands, with attributes three', async () => {
    const fencing = ['mmclone snap', 'mmclone copy'];
    expect(await fenceCost({})).toEqual(fencing);
    expect(await fenceCost({ parameters: attributes })).toEqual([...fencing, 'mmchattr']);
  });

  test('delete starts nothing, whatever the order', async () => {
    const source = await volume();
    const cut = await snapshot(source);
    const restored = await volume(restoring(cut));
    const clone = await volume(cloning(restored));
    const costs = [
      await cost('DeleteVolume', { volume_id: source }),
      await cost('DeleteSnapshot', { snapshot_id: cut }),
      await cost('DeleteVolume', { volume_id: restored }),
      await cost('DeleteVolume', { volume_id: clone }),
    ];
    expect(costs.flat()).toEqual([]);
  });
});

describe('node', () => {
  const place = async (name: string): Promise<string> => {
    const path = join(ground.work, 'kubelet', name);
    await mkdir(path, { recursive: true });
    return path;
  };

  test.each(['ext4', 'xfs'])('%s: stage, publish and back', async (fsType) => {
    const capability = mounted(fsType);
    const id = await volume({ volume_capabilities: [capability] });
    await ok('ControllerPublishVolume', attaching(id, capability));
    const staging_target_path = await place(`staging-${fsType}`);
    const target_path = join(await place(`pod-${fsType}`), 'mount');
    const staged = { volume_id: id, staging_target_path, volume_capability: capability };
    const published = { ...staged, target_path };
    // Is it attached already? Attach it.
    const attach = ['losetup -O', 'losetup -f'];
    const first = [...attach, 'blkid', `mkfs.${fsType}`, 'mount'];
    expect(await cost('NodeStageVolume', staged)).toEqual(first);
    expect(await cost('NodeStageVolume', staged)).toEqual([]);
    expect(await cost('NodePublishVolume', published)).toEqual(['mount']);
    expect(await cost('NodeGetVolumeStats', { volume_id: id, volume_path: target_path })).toEqual(
      [],
    );
    expect(await cost('NodeUnpublishVolume', { volume_id: id, target_path })).toEqual(['umount']);
    const gone = { volume_id: id, staging_target_path };
    expect(await cost('NodeUnstageVolume', gone)).toEqual(['umount', 'losetup -d']);
    expect(await cost('NodeStageVolume', staged)).toEqual([...attach, 'mount']);
    expect(await cost('NodeUnstageVolume', gone)).toEqual(['umount', 'losetup -d']);
  });
});
