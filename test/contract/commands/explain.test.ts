import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Explanation } from '../../../src/model/explain/facts.ts';
import { asMount, fromSnapshot, use, volumeRequest } from '../../support/disk/csi.ts';
import { cli } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { imageOnDisk } from '../../support/disk/real-truth.ts';

// Claim app/data, mounted on node a1, with a snapshot that a second claim of the same name was restored from.

const site = await realSite();
const server = await site.serve('a1', { flags: { compaction: 'paused' } });

const claim = (namespace: string, name: string) => ({
  'csi.storage.k8s.io/pvc/namespace': namespace,
  'csi.storage.k8s.io/pvc/name': name,
});
const pv = 'pvc-0a1b2c3d-0000-4000-8000-0123456789ab';
const made = await server.ok('CreateVolume', {
  ...volumeRequest(pv, { capability: asMount() }),
  parameters: claim('app', 'data'),
});
const data = made.volume?.volume_id ?? '';
const used = await use(site, server, data);
const cut = await server.ok('CreateSnapshot', {
  name: 'snapshot-1',
  source_volume_id: data,
  parameters: {
    'csi.storage.k8s.io/volumesnapshot/namespace': 'app',
    'csi.storage.k8s.io/volumesnapshot/name': 'nightly',
  },
});
const nightly = cut.snapshot?.snapshot_id ?? '';
await server.ok('CreateVolume', {
  ...volumeRequest('pvc-copy', { from: fromSnapshot(nightly), capability: asMount() }),
  parameters: claim('lab', 'data'),
});
await mkdir(join(used.target, 'deep'));
await writeFile(join(used.target, 'deep/file'), 'x');

async function explain(
  word: string,
  env: Readonly<Record<string, string>> = inPod,
  ...more: string[]
) {
  const running = cli(['explain', word, ...more], env);
  const code = await running.status;
  return { code, out: running.out(), err: running.err() };
}

/** The environment of the driver's container. */
const inPod = {
  GPFS_CSI_ROOT: site.root,
  GPFS_CSI_MM_DIR: site.bin,
  GPFS_CSI_MM_RUNNER: 'direct',
  GPFS_CSI_NODE_ID: 'a1',
  GPFS_CSI_STATE_DIR: join(site.directory, 'state-a1'),
};

async function facts(word: string): Promise<Explanation> {
  const { code, out, err } = await explain(word, inPod, '--json');
  expect({ word, code, err }).toEqual({ word, code: 0, err: '' });
  return JSON.parse(out) as Explanation;
}

describe('gpfs-csi explain', () => {
  test('finds one volume by claim, device, mount path and file, and says the same of it', async () => {
    const byClaim = await facts('app/data');
    expect(byClaim.version).toBe(1);
    const [volume] = byClaim.objects;
    if (!volume?.here?.devices[0]) throw new Error('no volume with a device');
    expect(volume).toMatchObject({
      kind: 'volume',
      kubernetes: { namespace: 'app', name: 'data' },
      name: pv,
      handle: data,
      attachments: [{ node: 'a1', state: 'ready', alive: true }],
      marks: [{ node: 'a1', dead: false }],
      claims: [],
      tree: { depth: 1, parents: ['snapshot app/nightly'], keptBy: [] },
      file: { path: imageOnDisk(site.root, data) },
      here: { staged: true, stagingPath: used.staging },
    });
    expect(volume.file?.inodeFound).toBe(volume.file?.inode);
    expect(volume.history.map(({ what }) => what)).toContain('create');
    const [device] = volume.here.devices;
    expect(device).toMatchObject({ recorded: true, current: true, directIo: true });
    expect(device.counters.writes).toBeGreaterThan(0);
    expect(volume.here.mounts.map(({ path }) => path).sort()).toEqual(
      [used.staging, used.target].sort(),
    );
    const words = [pv, data, device.path, used.staging, join(used.target, 'deep/file')];
    for (const word of [...words, imageOnDisk(site.root, data)]) {
      const { objects, onlyHere } = await facts(word);
      expect([word, objects.map(({ handle }) => handle), onlyHere]).toEqual([word, [data], []]);
    }
  });

  test('writes one screen, without a control character', async () => {
    const { code, out } = await explain('app/data');
    expect(code).toBe(0);
    expect(out).toMatch(/^volume app\/data\n {2}PersistentVolume +pvc-0a1b/);
    expect(out).toMatch(/\/dev\/loop\d+, 64 MiB, direct I\/O, sectors of 4096/);
    expect(out).toMatch(/attached to +node a1 since \d+s, ready, mount SINGLE_NODE/);
    expect(out).not.toMatch(/what to do next/);
    expect(out.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(out.split('\n').length).toBeLessThan(50);
  });

  test('says who needs a snapshot', async () => {
    const [snapshot] = (await facts('app/nightly')).objects;
    expect(snapshot).toMatchObject({ kind: 'snapshot', handle: nightly });
    expect([...(snapshot?.tree?.keptBy ?? [])].sort()).toEqual([
      'volume app/data',
      'volume lab/data',
    ]);
    expect((await explain('app/nightly')).out).toMatch(
      /if deleted +nothing is freed now: .*app\/data/,
    );
  });

  test('on another node, says where the device and the pods are known', async () => {
    const there = {
      ...inPod,
      GPFS_CSI_NODE_ID: 'b1',
      GPFS_CSI_STATE_DIR: join(site.directory, 'b1'),
    };
    const { code, out } = await explain('app/data', there);
    expect(code).toBe(0);
    expect(out).toMatch(/known on node a1 alone: run gpfs-csi explain/);
    expect(out).not.toMatch(/\/dev\/loop/);
  });

  test('lists what one name may mean, and says what an unknown one was looked for as', async () => {
    const several = await explain('data');
    expect(several.code).toBe(1);
    expect(several.out).toMatch(
      /"data" names 2 objects[^]*volume:.*app\/data[^]*volume:.*lab\/data/,
    );
    const unknown = await explain('app/none');
    expect(unknown).toMatchObject({ code: 1, out: '' });
    expect(unknown.err).toMatch(/no volume or snapshot is called "app\/none"/);
    expect((await explain('/dev/null')).err).toMatch(/a data file or a record at this path/);
    expect((await explain('x', inPod, '--nonsense')).code).toBe(2);
  });

  test('without the root, says what the node itself knows', async () => {
    const away = { ...inPod, GPFS_CSI_ROOT: join(site.directory, 'nowhere') };
    const { code, out } = await explain(used.target, away);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^volume ${data}, whose root cannot be read now`));
    expect(out).toMatch(/loop device +\/dev\/loop\d+/);
    expect(out).toMatch(/could not be read\n {2}- .*nowhere/);
    expect((await explain('app/data', away)).err).toMatch(/nowhere/);
    await used.release();
  });
});
