import { execFileSync } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { newVolume } from '../../support/disk/csi.ts';
import { standInCluster } from '../../support/disk/kubectl.ts';
import { realSite } from '../../support/disk/real-site.ts';

// The plugin as a program, with a stand-in for kubectl and the cluster; what it runs in pods is the real driver.

const site = await realSite();
const { root, bin, directory } = site;
const cluster = await standInCluster(directory, {
  GPFS_CSI_ROOT: root,
  GPFS_CSI_MM_DIR: bin,
  GPFS_CSI_MM_RUNNER: 'direct',
});
const server = await site.serve('a1', { flags: { compaction: 'paused' } });
const kept = await newVolume(server, 'pvc-kept');
const lost = await newVolume(server, 'pvc-lost');

const list = (...items: readonly unknown[]) => ({ kind: 'List', items });
const pod = (node: string, release = 'gpfs-csi', env: readonly object[] = settings) => ({
  metadata: {
    name: `driver-${node}`,
    namespace: 'gpfs-csi',
    labels: { 'app.kubernetes.io/instance': release },
  },
  spec: { nodeName: node, containers: [{ name: 'driver', image: 'gpfs-csi:1', env }] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
});
const settings = [
  { name: 'GPFS_CSI_ROOT', value: root },
  { name: 'GPFS_CSI_DRIVER_NAME', value: 'gpfs-clone.csi' },
];
const volume = (name: string, handle: string) => ({
  metadata: { name },
  spec: {
    csi: { driver: 'gpfs-clone.csi', volumeHandle: handle },
    claimRef: { namespace: 'shop', name: 'orders' },
    persistentVolumeReclaimPolicy: 'Retain',
  },
  status: { phase: 'Bound' },
});

beforeAll(async () => {
  // A pod of another chart with the same label of its component is none of the driver.
  await cluster.set('pods', list(pod('a1'), pod('b1'), pod('x1', 'other', [])));
  await cluster.set('pv', list(volume('pv-kept', kept), volume('pv-gone', '0a1b2c3d.gone')));
  await cluster.set('volumesnapshotcontents.snapshot.storage.k8s.io', list());
  await cluster.set('pvc orders', {
    metadata: { name: 'orders', namespace: 'shop' },
    spec: { volumeName: 'pv-kept', storageClassName: 'gpfs', accessModes: ['ReadWriteOnce'] },
    status: { phase: 'Bound' },
  });
  await cluster.set('pv pv-kept', volume('pv-kept', kept));
  await cluster.set(
    'volumeattachments',
    list({
      metadata: { name: 'csi-1' },
      spec: { attacher: 'x', nodeName: 'b1', source: { persistentVolumeName: 'pv-kept' } },
      status: { attached: true },
    }),
  );
  const event = { type: 'Warning', reason: 'Failed\u001b[2J', message: 'line\nbreak', count: 3 };
  await cluster.set('events', list(event));
});

describe('kubectl gpfs', () => {
  test('status shows pods, nodes, roots and versions on one screen', async () => {
    const { out, err } = await cluster.gpfs('status');
    expect(err).toBe('');
    expect(out).toMatch(/^release gpfs-csi in namespace gpfs-csi, driver gpfs-clone\.csi$/m);
    expect(out).toMatch(/^ {2}driver-b1 +b1 +yes +Running +gpfs-csi:1$/m);
    expect(out).toMatch(/^ {2}a1 +\S+ +\d+s +\d+s +0\/256 +(?:\?|nothing)$/m);
    expect(out).not.toContain('x1');
  });

  test('doctor asks the pod of the node, and names it', async () => {
    const { out } = await cluster.gpfs('doctor', 'b1', '--', '--no-probe');
    expect(out).toMatch(/^gpfs-csi doctor on node b1, version /);
    const { code, err } = await cluster.gpfs('doctor', 'c1');
    expect({ code, err }).toEqual({
      code: 1,
      err: 'kubectl gpfs: node c1 has no pod of the driver; those that have one: a1, b1\n',
    });
  });

  test('orphans names what has no counterpart, and says nothing of what is young', async () => {
    expect((await cluster.gpfs('orphans')).out).toMatch(/^1 younger than 10 minutes are left out/m);
    await age();
    const { code, out } = await cluster.gpfs('orphans');
    expect(code).toBe(0);
    expect(out).toMatch(/^ {2}pv-gone +0a1b2c3d\.gone +Bound, claim shop\/orders, Retain$/m);
    expect(out).toMatch(new RegExp(`^ {2}pvc-lost +${lost.replace('.', '\\.')} +${root} `, 'm'));
    expect(out).not.toMatch(/pv-kept|pvc-kept/);
  });

  test('explain shows what the driver of the node says, as text and as JSON', async () => {
    const ask = ['explain', 'pvc', 'orders', '-n', 'shop'] as const;
    const { code, out } = await cluster.gpfs(...ask);
    expect(code, out).toBe(0);
    expect(out).toMatch(/^from the driver on node b1$/m);
    expect(out).toMatch(new RegExp(`^ +handle +${kept.replace('.', '\\.')}$`, 'm'));
    const { out: json } = await cluster.gpfs(...ask, '--json');
    expect(JSON.parse(json)).toMatchObject({
      askedNode: 'b1',
      kubernetes: { claim: { metadata: { name: 'orders' } } },
      driver: { version: 1, objects: [{ handle: kept, name: 'pvc-kept' }] },
    });
  });

  test('explain joins the API and the pod of the node, and no text moves the cursor', async () => {
    await cluster.answer('explain', 'volume shop/orders\u001b]0;title\u0007\n  depth 1\n');
    const { code, out } = await cluster.gpfs('explain', 'pvc', 'orders', '-n', 'shop');
    expect(code).toBe(0);
    expect(out).toMatch(/^ {2}claim +shop\/orders, Bound, class gpfs, ReadWriteOnce$/m);
    expect(out).toMatch(/^ {2}attachment +attached, node b1$/m);
    expect(out).toMatch(/^ {2}event Warning +Failed\\u\{1b\}\[2J \(3 times\): line\\u\{a\}break$/m);
    expect(out).toContain('from the driver on node b1\nvolume shop/orders\\u{1b}]0;title\\u{7}\n');
    expect((await cluster.calls()).at(-1)).toEqual([
      '-n',
      'gpfs-csi',
      'exec',
      'driver-b1',
      '-c',
      'driver',
      '--',
      'gpfs-csi',
      'explain',
      kept,
    ]);
  });

  test('support-bundle makes one archive a node in a directory of its own', async () => {
    const dir = join(directory, 'ticket');
    const { code, out } = await cluster.gpfs('support-bundle', '--dir', dir);
    expect(code, out).toBe(0);
    expect(await readdir(dir)).toEqual(
      expect.arrayContaining(['MANIFEST.txt', 'a1.tar.gz', 'b1.tar.gz', 'pods.json', 'a1.log']),
    );
    const manifest = execFileSync('tar', ['-xOzf', join(dir, 'b1.tar.gz'), 'MANIFEST.txt']);
    expect(manifest.toString()).toMatch(/^gpfs-csi support bundle of node b1$/m);
    expect(await readFile(join(dir, 'a1.log'), 'utf8')).toBe('the log, password=[redacted]\n');
    expect((await cluster.gpfs('support-bundle', '--dir', dir)).err).toContain('is there already');
  });

  test.each([
    [['nonsense'], /"nonsense" is not a command/],
    [['explain'], /explain takes pvc NAME/],
    [['explain', 'pvc', '--help-me'], /--help-me is not a flag of explain/],
    [['explain', 'service', 'x'], /explain takes pvc NAME/],
    [['support-bundle'], /support-bundle needs --dir/],
  ])('%j is wrong usage', async (argv, sentence) => {
    const { code, err, out } = await cluster.gpfs(...argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(sentence);
  });

  test('says what kubectl complains about, and that there is no driver', async () => {
    expect((await cluster.gpfs('explain', 'pvc', 'nobody')).err).toContain(
      'kubectl get pvc nobody failed: Error from server (NotFound)',
    );
    expect((await cluster.gpfs('status', '--release', 'b')).err).toContain(
      'this cluster has no release b of the driver, but gpfs-csi',
    );
  });
});

/** Makes the volumes an hour old, as their records say. */
async function age(): Promise<void> {
  const folder = join(root, '.gpfs-csi/records/volumes');
  for (const shard of await readdir(folder))
    for (const name of await readdir(join(folder, shard))) {
      const path = join(folder, shard, name);
      const text = (await readFile(path, 'utf8')).replace(
        /"createdMs": (\d+)/,
        (_, ms: string) => `"createdMs": ${Number(ms) - 3_600_000}`,
      );
      await writeFile(path, text);
    }
}
