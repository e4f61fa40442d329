import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { shardOf } from '../../../src/model/ids.ts';
import { hostMounts } from '../../../src/run/host-files.ts';
import { mountOf } from '../../../src/run/mounts.ts';
import { layoutOf, versionName } from '../../../src/store/layout.ts';
import { fromSnapshot, fromVolume, newSnapshot, newVolume } from '../../support/disk/csi.ts';
import { cli } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { imageOnDisk } from '../../support/disk/real-truth.ts';

// A worn forest with real bytes: db was snapshotted twice, restored, cloned; the older snapshot is deleted.

const site = await realSite();
const server = await site.serve('a1', { flags: { compaction: 'paused' } });
const db = await newVolume(server, 'db');
await write(db, 0, 3);
const nightly = await newSnapshot(server, 'nightly-1', db);
const restored = await newVolume(server, 'restored', { from: fromSnapshot(nightly) });
await write(db, 0, 2);
await newSnapshot(server, 'nightly-2', db);
await write(restored, 8, 1);
const alone = await newVolume(server, 'alone');
await newVolume(server, 'clone', { from: fromVolume(alone) });
await write(alone, 4, 1);
await server.ok('DeleteSnapshot', { snapshot_id: nightly });
const nodes = () => readdir(join(site.root, '.gpfs-csi', 'nodes'));

/** Writes blocks of 4 KiB into the image of a volume. */
async function write(id: string, first: number, count: number): Promise<void> {
  await using file = await open(imageOnDisk(site.root, id), 'r+');
  await file.write(Buffer.alloc(count * 4096, first + 1), 0, count * 4096, first * 4096);
}

const typeOf = async (path: string): Promise<string> =>
  mountOf(await hostMounts()(), path)?.type ?? '';

/** A root on an ordinary file system, with records of so many files. */
async function manyFiles(root: string, count: number): Promise<void> {
  const { state, rootFile, records, recordShard } = layoutOf(root);
  for (const kind of ['volumes', 'snapshots', 'hidden'] as const)
    await mkdir(records(kind), { recursive: true });
  const facts = { clusterId: '1', fileSystem: 'fs1', fileset: 'csi', owner: '' };
  const common = { format: 1, createdMs: 0 };
  await writeFile(rootFile, JSON.stringify({ ...common, ...facts, rootId: '0a1b2c3d' }));
  const hidden = { why: 'clone', state: 'waiting', data: 'hidden', parent: null, bytes: '4096' };
  for (let n = 0; n < count; n++) {
    const id = `v${n}.1-a`;
    const shard = recordShard('hidden', id);
    await mkdir(shard, { recursive: true });
    const record = { ...common, ...hidden, id, content: { kind: 'empty' } };
    await writeFile(join(shard, versionName(id, 1)), JSON.stringify(record));
  }
  expect(await readdir(state)).toContain('root.json');
}

/** What the command says: without flags, so that the environment must do. */
async function tree(argv: readonly string[], env: Readonly<Record<string, string>> = inPod) {
  const running = cli(['tree', ...argv], env);
  const status = await running.status;
  return { status, out: running.out(), err: running.err() };
}

/** The environment that `kubectl exec` finds in the container of the driver. */
const inPod = {
  CSI_ENDPOINT: `unix://${site.directory}/csi.sock`,
  KUBERNETES_SERVICE_HOST: '10.96.0.1',
  GPFS_CSI_ROOT: site.root,
  GPFS_CSI_MM_DIR: site.bin,
  GPFS_CSI_NODE_ID: 'never-registered',
  GPFS_CSI_STATE_DIR: join(site.directory, 'state-a1'),
  GPFS_CSI_KUBELET_DIR: join(site.directory, 'kubelet'),
  GPFS_CSI_HTTP_PORT: '9808',
  GPFS_CSI_POOL: '',
};

interface Seen {
  readonly id?: string;
  readonly name: string;
  readonly kind: string;
  readonly depth: number;
  readonly ownBytes: number;
  readonly sharedBytes: number;
}

interface Answer {
  readonly roots: readonly {
    readonly path: string;
    readonly accounts: Readonly<Record<string, unknown>>;
    readonly files: readonly Seen[];
  }[];
}

async function json(...argv: readonly string[]): Promise<Answer> {
  const { status, out, err } = await tree(['--json', ...argv]);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return JSON.parse(out) as Answer;
}

/** Name, depth, and blocks of its own. */
const brief = ({ roots }: Answer): readonly string[] =>
  roots.flatMap(({ files }) =>
    files.map(({ name, kind, depth, ownBytes }) => `${depth} ${kind} ${name}: ${ownBytes / 4096}`),
  );

describe('gpfs-csi tree', () => {
  test('draws a root with what each file holds, and registers no node', async () => {
    const before = await nodes();
    const { status, out, err } = await tree([]);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(
      /csi \(root [0-9a-f]{8}\): 4 volumes, 1 snapshot, 1 tombstone and 1 hidden parent in 2 trees; volumes of 256 MiB, 16 KiB live, 12 KiB dead, deepest 2, 1 empty parent$/,
    );
    // What is still on the queue is said between the root and its files.
    const columns = lines
      .slice(1)
      .filter((line) => !line.startsWith('on the queue: '))
      .map((line) => line.replace(/ {2,}/g, '  ').replace(/\d+s$/, 'AGE'));
    expect(columns).toEqual([
      'NAME  KIND  DEPTH  SIZE  OWN  SHARED  AGE  NODE',
      'of alone  hidden parent  0  64 MiB  0  0  AGE',
      '├─ alone  volume  1  64 MiB  4 KiB  0  AGE',
      '└─ clone  volume  1  64 MiB  0  0  AGE',
      'of nightly-1  tombstone  0  64 MiB  12 KiB  0  AGE',
      '├─ nightly-2  snapshot  1  64 MiB  8 KiB  12 KiB  AGE',
      '│  └─ db  volume  2  64 MiB  0  20 KiB  AGE',
      '└─ restored  volume  1  64 MiB  4 KiB  12 KiB  AGE',
    ]);
    expect(out).not.toContain('\u001b');
    expect(await nodes()).toEqual(before);
  });

  test('tells programs the same', async () => {
    const answer = await json();
    expect(brief(answer)).toEqual([
      '0 hidden parent of alone: 0',
      '1 volume alone: 1',
      '1 volume clone: 0',
      '0 tombstone of nightly-1: 3',
      '1 snapshot nightly-2: 2',
      '2 volume db: 0',
      '1 volume restored: 1',
    ]);
    expect(answer.roots[0]).toMatchObject({
      path: site.root,
      accounts: { liveBytes: 16384, deadBytes: 12288, deepest: 2, trees: 2 },
    });
  });

  test('shows the whole tree of a volume or snapshot, by handle or by name', async () => {
    for (const id of [db, 'db']) {
      const { status, out } = await tree([id]);
      expect(status).toBe(0);
      expect(out).toContain('└─ restored');
      expect(out).not.toContain('alone');
      expect(out.split('\n').filter((line) => line.endsWith('◀'))).toHaveLength(1);
    }
    expect(brief(await json('clone'))).toEqual([
      '0 hidden parent of alone: 0',
      '1 volume alone: 1',
      '1 volume clone: 0',
    ]);
    // The handle of what was deleted finds what is left of it.
    expect(brief(await json(nightly))).toContain('0 tombstone of nightly-1: 3');
  });

  test.each([
    [['--kind', 'snapshot'], ['1 snapshot nightly-2: 2']],
    [['--name', 'res*'], ['1 volume restored: 1']],
    [['--deeper', '1'], ['2 volume db: 0']],
    [['--kind', 'hidden'], ['0 hidden parent of alone: 0']],
    [['--older', '1w'], [] as string[]],
    [['--attached', 'n1'], [] as string[]],
  ])('shows what is looked for with %s', async (flags, found) => {
    expect(brief(await json(...flags))).toEqual(found);
  });

  test('says what a deletion would free, and what would stay until when', async () => {
    const one = await tree(['--if-deleted', 'restored']);
    expect(one).toMatchObject({ status: 0, err: '' });
    expect(one.out.split('\n').slice(1)).toEqual([
      'Deleting volume restored would free 4 KiB.',
      'Removed:',
      '     4 KiB  volume restored',
      'Stays:',
      '    12 KiB  tombstone of nightly-1: stays until snapshot nightly-2 and volume db are gone',
      'The order of the deletions makes no difference.',
      '',
    ]);
    const all = await tree(['--json', '--if-deleted', `restored,${db},nightly-2`]);
    const { roots } = JSON.parse(all.out) as { readonly roots: readonly object[] };
    expect(roots).toMatchObject([{ path: site.root, freedBytes: 24_576, stays: [] }]);
  });

  test('lists who holds the space, the most first', async () => {
    const { status, out } = await tree(['--sort', 'own', '--top', '2', '--kind', 'volume']);
    expect(status).toBe(0);
    const rows = out.split('\n').filter((line) => / (?:KIND|volume) /.test(line));
    expect(rows.map((line) => line.replace(/ {2,}/g, '  ').replace(/\d+s$/, 'AGE'))).toEqual([
      'NAME  KIND  DEPTH  SIZE  OWN  SHARED  FREES  AGE  NODE',
      'alone  volume  1  64 MiB  4 KiB  0  4 KiB  AGE',
      'restored  volume  1  64 MiB  4 KiB  12 KiB  4 KiB  AGE',
    ]);
    expect(brief(await json('--sort', 'reclaimable', '--top', '1'))).toHaveLength(1);
  });

  test('draws for Mermaid and for Graphviz', async () => {
    expect((await tree(['--mermaid'])).out).toMatch(/^flowchart TD\n {2}n0\["of alone<br\/>/);
    expect((await tree(['--icicle'])).out).toMatch(/^<svg [^]*>nightly-2<[^]*<\/svg>\n$/);
    expect((await tree(['--dot'])).out).toMatch(/^digraph forest \{\n[^]*\n\}\n$/);
  });

  test.each([
    [['nothing-like-it'], 1, /no volume or snapshot is called "nothing-like-it" in \/.*csi/],
    [['00000000.db'], 1, /no volume or snapshot is called "00000000\.db"/],
    [['--colour'], 2, /--colour is not a flag of tree/],
    [['a', 'b'], 2, /"b" is not expected here/],
    [['--json', '--dot'], 2, /--json and --dot exclude each other/],
    [['--kind', 'file'], 2, /--kind must be one of volume, snapshot, tombstone, hidden/],
    [['--deeper', '-1'], 2, /--deeper must be a whole number/],
    [['--older', 'long'], 2, /--older must be a time like 90m, 12h, 7d or 4w/],
    [['--sort', 'size'], 2, /--sort must be one of own, reclaimable, age, depth, name/],
    [['--top', '0'], 2, /--top must be a whole number of at least 1/],
    [['--sort', 'own', '--dot'], 2, /--dot draws trees, and --sort gives a list/],
    [['--if-deleted', ','], 2, /--if-deleted needs at least one name/],
    [['--if-deleted', 'db', '--kind', 'volume'], 2, /--if-deleted and --kind exclude each other/],
    [['db', '--if-deleted', 'alone'], 2, /"db" is not expected here: --if-deleted takes all names/],
    [['--if-deleted', 'no-such'], 1, /no volume or snapshot is called "no-such"/],
    [['/', '--root', '/x'], 2, /"\/" and --root both name a root/],
  ])('with %s ends with %d and says why', async (argv, expected, why) => {
    const { status, out, err } = await tree(argv);
    expect({ status, out }).toEqual({ status: expected, out: '' });
    expect(err).toMatch(why);
    if (expected === 2) expect(err).toMatch(/\ngpfs-csi tree --help explains how it is used\n$/);
    expect(err).not.toMatch(/^ +at /m);
  });

  test('sets no root up where there is none, and believes no directory that is not mounted', async () => {
    const empty = join(dirname(site.root), 'empty');
    await mkdir(empty);
    const found = await tree([empty]);
    expect(found).toMatchObject({ status: 1, out: '' });
    expect(found.err).toMatch(/empty is no root of the driver: there is no .*root\.json/);
    expect(await readdir(empty)).toEqual([]);
    const elsewhere = await tree(['/proc']);
    expect(elsewhere).toMatchObject({ status: 1, out: '' });
    expect(elsewhere.err).toMatch(/root \/proc is not on a xfs file system but on proc/);
  });

  test('says all there is to say of thousands of files, also to who reads slowly, or no further', async () => {
    const root = join(site.directory, 'many');
    await manyFiles(root, 3000);
    const argv = ['tree', root, '--mount-type', await typeOf(root)];
    const slow = cli([...argv, '--json']);
    slow.child.stdout?.pause();
    await sleep(3000);
    slow.child.stdout?.resume();
    expect(await slow.status).toBe(0);
    const { roots } = JSON.parse(slow.out()) as Answer;
    expect(roots[0]?.files).toHaveLength(3000);
    const gone = cli([...argv, '--all']);
    gone.child.stdout?.destroy();
    expect(await gone.status).toBe(0);
    expect(gone.err()).toBe('');
    const { out } = await tree(argv.slice(1), {});
    expect(out).toContain('… 2,997 more hidden parents, 0 of their own');
  });

  test('names a record that it cannot read, shows the others, and ends with 1', async () => {
    const records = join(site.root, '.gpfs-csi', 'records', 'volumes', shardOf('spoilt'));
    await mkdir(records, { recursive: true });
    await writeFile(join(records, 'spoilt.1'), '{"format":1}');
    try {
      const { status, out, err } = await tree([]);
      expect(status).toBe(1);
      expect(err).toMatch(/record .*spoilt\.1 cannot be read/);
      expect(out).toContain('restored');
    } finally {
      await rm(records, { recursive: true });
    }
  });
});
