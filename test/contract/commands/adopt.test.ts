import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { MiB } from '../../../src/model/bytes.ts';
import { command, startCommand } from '../../support/disk/command.ts';
import {
  fromVolume,
  newSnapshot,
  newVolume,
  remove,
  use,
  asMount,
} from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite({ size: 1024n * MiB });
const server = await site.serve();
const fileset = join(site.root, '..');
const outside = join(site.directory, 'outside');
await mkdir(outside);

const mmclone = (...args: readonly string[]) =>
  execFileSync(join(site.bin, 'mmclone'), [...args], { encoding: 'utf8' });
const volumeFile = (name: string): string =>
  filesOnDisk(site.root).find((path) => path.includes(`/${name}.`)) ?? '';
const adopted = (out: string): string =>
  (parse(out) as { spec: { csi: { volumeHandle: string } } }).spec.csi.volumeHandle;

describe('adopt', () => {
  test('a raw file becomes a volume without a copy, with the PersistentVolume for it', async () => {
    const file = join(fileset, 'disk.raw');
    await writeFile(file, '');
    execFileSync('truncate', ['-s', '64M', file]);
    execFileSync('mkfs.ext4', ['-q', '-b', '4096', '-d', '/etc/alternatives', file]);
    const before = await stat(file);
    const ended = await command(site, ['adopt', file, '--name', 'pvc-1']);
    expect(ended).toMatchObject({ code: 0, err: '' });
    await expect(stat(file)).rejects.toThrow('ENOENT');
    expect((await stat(volumeFile('pvc-1'))).ino).toBe(before.ino);
    const id = adopted(ended.out);
    expect(parse(ended.out)).toMatchObject({
      kind: 'PersistentVolume',
      metadata: { name: 'pvc-1' },
      spec: {
        capacity: { storage: String(64 * 2 ** 20) },
        persistentVolumeReclaimPolicy: 'Retain',
      },
    });
    expect(ended.out).not.toContain('nodeAffinity');
    const used = await use(site, server, id, asMount('ext4'));
    expect((await readdir(used.target)).length).toBeGreaterThan(1);
    await used.release();
    await remove(server, { volumes: [id] });
    expect(filesOnDisk(site.root)).toEqual([]);
  });

  test('where topology is on, its PersistentVolume is for the nodes that have the root', async () => {
    const file = join(fileset, 'placed.raw');
    await writeFile(file, randomBytes(Number(MiB)));
    const argv = [
      'adopt',
      file,
      '--name',
      'pvc-2',
      '--topology',
      'true',
      '--driver-name',
      'my.csi',
    ];
    const ended = await command(site, argv);
    expect(ended).toMatchObject({ code: 0, err: '' });
    const id = adopted(ended.out);
    const label = { key: `my.csi/root-${id.slice(0, 8)}`, operator: 'In', values: ['mounted'] };
    expect(parse(ended.out)).toMatchObject({
      spec: {
        csi: { driver: 'my.csi' },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [label] }] } },
      },
    });
    await remove(server, { volumes: [id] });
  });

  test.each([
    [
      'of another file system',
      () => join(outside, 'x'),
      /is in fileset|is not on|failed|not a regular/,
    ],
    ['that is empty', () => join(fileset, 'empty'), /it is empty/],
    ['that is a qcow2 image', () => join(fileset, 'q.qcow2'), /qcow2 image, not a raw disk/],
    [
      'that is a clone',
      () => join(fileset, 'clone'),
      /reads through inode \d+; adopt the directory/,
    ],
    ['that is a clone parent', () => join(fileset, 'parent'), /it is a clone parent/],
    ['that is not there', () => join(fileset, 'none'), /./],
  ] as const)('a file %s is refused and stays as it is', async (_, path, words) => {
    await writeFile(join(outside, 'x'), 'x');
    await writeFile(join(fileset, 'empty'), '');
    await writeFile(join(fileset, 'q.qcow2'), Buffer.from('514649fb00000003', 'hex'));
    if (!(await readdir(fileset)).includes('parent')) {
      await writeFile(join(fileset, 'clone'), randomBytes(8192));
      mmclone('snap', join(fileset, 'clone'), join(fileset, 'parent'));
    }
    const ended = await command(site, ['adopt', path()]);
    expect(ended).toMatchObject({ code: 1, out: '' });
    expect(ended.err).toMatch(words);
    expect(filesOnDisk(site.root)).toEqual([]);
  });

  test('a directory of Cinder, with its clone tree; then everything goes, in any order', async () => {
    const directory = join(fileset, 'cinder');
    await mkdir(directory);
    const [a, b, c, s] = ['volume', 'volume', 'volume', 'snapshot'].map(
      (kind) => `${kind}-${randomUUID()}`,
    );
    const at = (name: string | undefined) => join(directory, String(name));
    const data = randomBytes(256 * 1024);
    await writeFile(at(a), data);
    mmclone('snap', at(a), at(s));
    mmclone('copy', at(s), at(b));
    await writeFile(at(b), 'changed', { flag: 'r+' });
    mmclone('snap', at(a), at(`${c}.snap`));
    mmclone('copy', at(`${c}.snap`), at(c));
    await writeFile(at('notes.txt'), 'x');
    const expected = new Map<string, Buffer>();
    for (const name of [a, b, c, s]) expected.set(String(name), await readFile(at(name)));

    const ended = await command(site, ['adopt', directory]);
    expect(ended.code).toBe(0);
    expect(ended.err).toMatch(/left alone: notes.txt/);
    expect(await readdir(directory)).toEqual(['notes.txt']);
    for (const [name, bytes] of expected)
      expect((await readFile(volumeFile(name))).equals(bytes)).toBe(true);
    expect(site.problems()).toEqual([]);
    expect(recordsOnDisk(site.root, 'hidden')).toHaveLength(1);
    expect(parseAllDocuments(ended.out)).toHaveLength(3);
    expect(await command(site, ['adopt', directory])).toMatchObject({ code: 0, out: '' });

    const listed = await server.ok('ListVolumes', {});
    const ids = listed.entries.map(({ volume }) => volume?.volume_id ?? '');
    const clone = await newVolume(server, 'clone', { from: fromVolume(ids[0] ?? '') });
    const cut = await newSnapshot(server, 'cut', ids[1] ?? '');
    const old = `${ids[0]?.slice(0, 8)}.${s}`;
    await remove(server, { volumes: [...ids, clone], snapshots: [old, cut] });
    expect(site.problems()).toEqual([]);
    await expect.poll(() => filesOnDisk(site.root)).toEqual([]);
  });
});

describe('export', () => {
  test('a volume in use, of one moment, raw and qcow2; and a snapshot', async () => {
    const file = join(fileset, 'export.raw');
    const data = Buffer.concat([randomBytes(2 ** 20), Buffer.alloc(7 * 2 ** 20)]);
    await writeFile(file, data);
    const id = adopted((await command(site, ['adopt', file])).out);
    const before = filesOnDisk(site.root);
    const [raw, qcow2] = [join(outside, 'out.raw'), join(outside, 'out.qcow2')];
    const asked = (format: string, to: string) =>
      command(site, ['export', id, '--format', format, '--to', to]);
    expect(await asked('raw', raw)).toMatchObject({ code: 0, out: '' });
    expect((await readFile(raw)).equals(data)).toBe(true);
    expect((await stat(raw)).blocks * 512).toBeLessThan(3 * 2 ** 20);
    expect(await asked('qcow2', qcow2)).toMatchObject({ code: 0 });
    execFileSync('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', qcow2, raw]);
    expect((await asked('raw', raw)).err).toMatch(/is there already; export to another file/);
    expect((await readFile(raw)).equals(data)).toBe(true);
    // What the snapshot of each export held stays below the volume until compaction absorbs it.
    const volumes = (files: readonly string[]) =>
      files.filter((path) => path.includes('/volumes/'));
    expect(volumes(filesOnDisk(site.root))).toEqual(volumes(before));
    expect((await server.ok('ListSnapshots', {})).entries).toEqual([]);
    expect(site.problems()).toEqual([]);
    const cut = await newSnapshot(server, 'exported', id);
    const piped = execFileSync(
      'sh',
      [
        '-c',
        `"$0" src/cli/main.ts export "$1" --format raw --to - --root "$2" --mm-dir "$3" --mm-runner direct | sha256sum`,
        process.execPath,
        cut,
        site.root,
        site.bin,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    expect(piped).toContain(execFileSync('sha256sum', [raw], { encoding: 'utf8' }).slice(0, 64));
    await remove(server, { volumes: [id], snapshots: [cut] });
  });

  test.each(['raw', 'qcow2'])(
    '%s: only its owner may read it, and no link leads it astray',
    async (format) => {
      const id = await newVolume(server, `private-${format}`);
      const to = join(outside, `private.${format}`);
      const victim = join(outside, `victim-${format}`);
      await writeFile(victim, 'precious');
      // Somebody who may write to the directory can guess names; the number is that of a process to come.
      const planted = async (pid: number) => symlink(victim, `${to}.part-${pid}`);
      for (let pid = process.pid; pid < process.pid + 300; pid++) await planted(pid);
      expect(await command(site, ['export', id, '--format', format, '--to', to])).toMatchObject({
        code: 0,
      });
      expect((await stat(to)).mode & 0o777).toBe(0o600);
      expect(await readFile(victim, 'utf8')).toBe('precious');
      const left = (await readdir(outside)).filter((name) => name.startsWith(`private.${format}.`));
      expect(left).toHaveLength(300);
      await remove(server, { volumes: [id] });
    },
  );

  test('a command that is killed leaves no snapshot, and what it began goes by itself', async () => {
    const file = join(fileset, 'killed.raw');
    await writeFile(file, randomBytes(16 * 2 ** 20));
    const id = adopted((await command(site, ['adopt', file])).out);
    const cuts = () =>
      recordsOnDisk(site.root, 'snapshots').filter(({ id: each }) => each.startsWith('export-'));
    const before = cuts().length;
    const { child, ended } = startCommand(site, ['export', id, '--format', 'raw', '--to', '-']);
    // Nobody reads: it cannot come to its end.
    child.stdout?.pause();
    await expect.poll(() => cuts().length, { timeout: 60_000 }).toBe(before + 1);
    await expect
      .poll(() => cuts().every(({ state }) => state === 'deleted'), { timeout: 60_000 })
      .toBe(true);
    child.kill('SIGKILL');
    await ended;
    expect((await server.ok('ListSnapshots', {})).entries).toEqual([]);
    await remove(server, { volumes: [id] });
    await expect.poll(() => filesOnDisk(site.root), { timeout: 60_000 }).toEqual([]);
  });

  test.each([
    [['export'], /needs a volume or snapshot/],
    [['export', 'x', '--format', 'vmdk', '--to', '/tmp/x'], /--format must be raw or qcow2/],
    [['export', 'x', '--format', 'qcow2', '--to', '-'], /standard output takes raw only/],
    [['adopt', 'relative'], /absolute path/],
  ] as const)('%j is wrong usage', async (argv, words) => {
    const ended = await command(site, argv);
    expect(ended.code).toBe(2);
    expect(ended.err).toMatch(words);
  });

  test('what is not there is said, and nothing is made', async () => {
    const to = join(outside, 'none.raw');
    const ended = await command(site, ['export', 'pvc-none', '--format', 'raw', '--to', to]);
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(/no volume or snapshot is called "pvc-none"/);
    await expect(stat(to)).rejects.toThrow('ENOENT');
  });
});
