import { execFileSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { MiB } from '../../../src/model/bytes.ts';
import { command } from '../../support/disk/command.ts';
import {
  asBlock,
  asMount,
  fromSnapshot,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  use,
  volumeRequest,
} from '../../support/disk/csi.ts';
import { gptDisk, partitionsOn } from '../../support/node/disks.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

// The simulator's file system lies on a loop device of 512, buffered. So plain files of it have direct I/O in
// sectors of 512, and files that share blocks have not: both answers of a kernel on one root.

const site = await realSite({ size: 3072n * MiB });
const server = await site.serve();
const fileset = join(site.root, '..');
const outside = join(site.directory, 'outside');
await mkdir(outside);

const partition = ['2048 2048'];
const gpt = async (path: string): Promise<string> => {
  await gptDisk(path, 16 * 2 ** 20, 512, [{ first: 2048, last: 4095 }]);
  return path;
};
const made = async (name: string, request: object): Promise<string> =>
  (await server.ok('CreateVolume', { ...volumeRequest(name), ...request })).volume?.volume_id ?? '';
const bringIn = async (file: string, name: string, ...more: readonly string[]) => {
  const argv = ['image', 'import', file, '--name', name, '--format', 'raw', ...more];
  const { code, err } = await command(site, argv);
  expect(code).toBe(0);
  return err;
};
const note =
  /^a loop device with sectors of 512 bytes gets no direct I\/O on a clone of image \S+ here, so volumes cloned from it cannot be used; a whole copy/m;
const adopt = async (file: string, name: string) => {
  const ended = await command(site, ['adopt', file, '--name', name]);
  expect(ended).toMatchObject({ code: 0 });
  expect(ended.err).toMatch(/^volume \S+ has a disk for sectors of 512 bytes\n$/);
  return (parse(ended.out) as { spec: { csi: { volumeHandle: string } } }).spec.csi.volumeHandle;
};

type Kind = Parameters<typeof recordsOnDisk>[1];

/** The sector size in each record of a kind, by id. */
const sectorsOf = (kind: Kind): Readonly<Record<string, number | undefined>> =>
  Object.fromEntries(
    recordsOnDisk(site.root, kind)
      .filter(({ state }) => state !== 'deleted')
      .map((record) => [record.id, (record as { readonly sectorBytes?: number }).sectorBytes]),
  );

const refusal =
  /^FAILED_PRECONDITION volume \S+ cannot be staged: its disk was made for sectors of 512 bytes, .*no direct I\/O/;

const noClone =
  /^FAILED_PRECONDITION image \S+ cannot be cloned for use: its disk was made for sectors of 512 bytes, .*no direct I\/O on a clone of it/;

/** Why a volume is refused, of which nothing is left. */
async function refusedClone(request: object): Promise<string> {
  const why = await server.refused('CreateVolume', { ...volumeRequest('refused'), ...request });
  const left = recordsOnDisk(site.root, 'volumes').filter(({ state }) => state !== 'deleted');
  expect(left.map(({ id }) => id)).not.toContain('refused');
  return why;
}

/** Why a stage of a volume is refused, after which nothing of it is left. */
async function refusedStage(id: string, capability = asBlock()): Promise<string> {
  const { staging } = await site.place(`refused-${id}`);
  const wanted = { volume_id: id, volume_capability: capability };
  await server.ok('ControllerPublishVolume', { ...wanted, node_id: server.node });
  const request = { ...wanted, staging_target_path: staging };
  const why = await server.refused('NodeStageVolume', request);
  expect(site.inUse()).toEqual([]);
  await server.ok('ControllerUnpublishVolume', { volume_id: id, node_id: server.node });
  return why;
}

describe('an image of a disk for sectors of 512 bytes', () => {
  test('xfs: imported, copied, staged and mounted, its files are there', async () => {
    const file = join(outside, 'xfs.raw');
    await writeFile(file, '');
    await truncate(file, 320 * 2 ** 20);
    execFileSync('mkfs.xfs', ['-q', '-s', 'size=512', file]);
    const point = join(outside, 'point');
    await mkdir(point);
    const data = randomBytes(100_000);
    execFileSync('mount', ['-o', 'loop', file, point]);
    await writeFile(join(point, 'kept'), data);
    execFileSync('umount', [point]);
    expect(await bringIn(file, 'xfs')).toMatch(note);
    const request = { volume_capabilities: [asMount('xfs')], capacity_range: mib(640) };
    const parameters = { image: 'xfs', imageShareMode: 'copy' };
    const id = await made('copied', { ...request, parameters });
    const used = await use(site, server, id, asMount('xfs'));
    expect((await readFile(join(used.target, 'kept'))).equals(data)).toBe(true);
    await used.release();
    expect(await refusedClone({ ...request, parameters: { image: 'xfs' } })).toMatch(noClone);
    expect(sectorsOf('volumes')).toEqual({ copied: 512 });
    await remove(server, { volumes: [id] });
  });

  test('partitioned: a whole copy is staged and shows them, a clone that shares is refused', async () => {
    expect(await bringIn(await gpt(join(outside, 'gpt.raw')), 'gpt')).toMatch(note);
    expect(await refusedClone({ parameters: { image: 'gpt' } })).toMatch(noClone);
    const thick = await made('thick', { parameters: { image: 'gpt', provisioning: 'thick' } });
    const used = await use(site, server, thick, asBlock());
    expect(partitionsOn(used.target)).toEqual(partition);
    await used.release();
    await remove(server, { volumes: [thick] });
  });

  test('a small ext4: its clones are refused before they are bound, and as 4096 it is no file system', async () => {
    const file = join(outside, 'small.raw');
    await writeFile(file, '');
    await truncate(file, 64 * 2 ** 20);
    execFileSync('mkfs.ext4', ['-q', '-b', '1024', file]);
    expect(await bringIn(file, 'small')).toMatch(note);
    const request = { volume_capabilities: [asMount('ext4')] };
    expect(await refusedClone({ ...request, parameters: { image: 'small' } })).toMatch(noClone);
    expect(await bringIn(file, 'disk', '--sector-size', '4096')).not.toMatch(note);
    expect(await refusedClone({ ...request, parameters: { image: 'disk' } })).toMatch(
      /^FAILED_PRECONDITION image disk cannot be mounted: its ext4 needs sectors of 512 bytes, and it was imported with --sector-size 4096; use it as a block volume/,
    );
    const id = await made('raw', { parameters: { image: 'disk' } });
    await remove(server, { volumes: [id] });
    for (const name of ['small', 'disk'])
      expect(await command(site, ['image', 'remove', name])).toMatchObject({ code: 0 });
    expect(site.inUse()).toEqual([]);
  });

  test('partitioned, for a file system: refused with the reason, never formatted', async () => {
    const request = { volume_capabilities: [asMount('ext4')] };
    const parameters = { image: 'gpt', imageShareMode: 'copy' };
    const id = await made('wrong', { ...request, parameters });
    expect(await refusedStage(id, asMount('ext4'))).toMatch(
      /^FAILED_PRECONDITION .*holds a gpt partition table and no file system; use it as a block volume/,
    );
    const used = await use(site, server, await remade(id), asBlock());
    expect(partitionsOn(used.target)).toEqual(partition);
    await used.release();
    await remove(server, { volumes: [id, used.id] });
  });

  /** A whole copy of a volume for raw use. */
  const remade = (id: string): Promise<string> =>
    made('remade', {
      volume_content_source: fromVolume(id),
      parameters: { provisioning: 'thick' },
    });

  test('is given by a human where it does not say so itself', async () => {
    const file = join(outside, 'plain.raw');
    await writeFile(file, randomBytes(2 ** 20));
    await bringIn(file, 'unsaid');
    await bringIn(file, 'said', '--sector-size', '512');
    await bringIn(join(outside, 'gpt.raw'), 'other', '--sector-size', '4096');
    const large = join(outside, 'xfs4096.raw');
    await writeFile(large, '');
    await truncate(large, 320 * 2 ** 20);
    execFileSync('mkfs.xfs', ['-q', '-s', 'size=4096', large]);
    await bringIn(large, 'large');
    expect((await command(site, ['image', 'show', 'gpt'])).out).toMatch(/^sectorBytes: 512$/m);
    const { out } = await command(site, ['image', 'list', '--json']);
    const list = JSON.parse(out) as readonly { name: string; sectorBytes: number }[];
    expect(list.map(({ name, sectorBytes }) => [name, sectorBytes])).toEqual([
      ['gpt', 512],
      ['large', 4096],
      ['other', 4096],
      ['said', 512],
      ['unsaid', 4096],
      ['xfs', 512],
    ]);
    for (const argv of [
      ['image', 'import', file, '--name', 'x', '--format', 'raw', '--sector-size', '1024'],
      ['adopt', file, '--sector-size', '1K'],
    ]) {
      const ended = await command(site, argv);
      expect(ended).toMatchObject({ code: 2, out: '' });
      expect(ended.err).toMatch(/--sector-size must be 512 or 4096, not "1/);
    }
  });
});

test('a hypervisor shows a guest sectors of 512 on a clone with 4096, which any file system allows', async () => {
  const id = await made('guest', { parameters: { image: 'other' } });
  const used = await use(site, server, id, asBlock());
  const asks = ['read -v 512 8', 'write -P 0x5a 1048576 512', 'read -P 0x5a 1048576 512'];
  const options = ['-f', 'raw', '-t', 'none', ...asks.flatMap((each) => ['-c', each])];
  const out = execFileSync('qemu-io', [...options, used.target], { encoding: 'utf8' });
  expect(out).toMatch(/^00000200: {2}45 46 49 20 50 41 52 54 {2}EFI\.PART$/m);
  expect(out).toMatch(/wrote 512\/512 bytes at offset 1048576/);
  expect(out).not.toMatch(/Pattern verification failed|[Ee]rror/);
  await used.release();
  await remove(server, { volumes: [id] });
});

describe('an adopted disk for sectors of 512 bytes', () => {
  test('shows its partitions; all that is cut and cloned from it keeps its sectors', async () => {
    const id = await adopt(await gpt(join(fileset, 'vm.raw')), 'vm');
    const used = await use(site, server, id, asBlock());
    expect(partitionsOn(used.target)).toEqual(partition);
    const cut = await newSnapshot(server, 'cut', id);
    // XFS shares blocks of the file now. The device that is in use goes on, and loses nothing.
    const data = randomBytes(512);
    const sector = ['bs=512', 'seek=2050', 'count=1', 'oflag=direct', 'conv=notrunc,fsync'];
    execFileSync('dd', [`of=${used.target}`, 'status=none', ...sector], { input: data });
    await used.release();
    const file = filesOnDisk(site.root).find((path) => path.includes('/vm.')) ?? '';
    const written = (await readFile(file)).subarray(2050 * 512, 2051 * 512);
    expect(written.equals(data)).toBe(true);
    expect(await refusedStage(id)).toMatch(refusal);

    const restored = await newVolume(server, 'restored', { from: fromSnapshot(cut) });
    const clone = await newVolume(server, 'again', { from: fromVolume(restored) });
    await remove(server, { snapshots: [cut] });
    const after = await newVolume(server, 'after', { from: fromVolume(clone) });
    const whole = await made('whole', {
      volume_content_source: fromVolume(id),
      parameters: { provisioning: 'thick' },
    });
    expect(sectorsOf('volumes')).toEqual({
      vm: 512,
      restored: 512,
      again: 512,
      after: 512,
      whole: 512,
    });
    const hidden = Object.values(sectorsOf('hidden'));
    // The deleted snapshot, and the parent that all clones of a volume share until it is used again.
    expect(hidden.length).toBeGreaterThan(1);
    expect(new Set(hidden)).toEqual(new Set([512]));
    const copy = await use(site, server, whole, asBlock());
    expect(partitionsOn(copy.target)).toEqual(partition);
    await copy.release();
    await remove(server, { volumes: [id, restored, clone, after, whole] });
  });

  test('has them after its records were lost and made again', async () => {
    const id = await adopt(await gpt(join(fileset, 'lost.raw')), 'lost');
    const cut = await newSnapshot(server, 'lostcut', id);
    const clone = await newVolume(server, 'lostclone', { from: fromVolume(id) });
    const before = [sectorsOf('volumes'), sectorsOf('snapshots'), sectorsOf('hidden')];
    await rm(join(site.root, '.gpfs-csi', 'records'), { recursive: true });
    const argv = ['doctor', '--repair', '--min-age', '0', '--no-probe', '--node-id', 'a1'];
    const mended = await command(site, argv);
    expect(mended.out).toMatch(/made a record for volume lost: /);
    const after = [sectorsOf('volumes'), sectorsOf('snapshots'), sectorsOf('hidden')];
    expect(after[0]).toEqual(before[0]);
    expect(after[0]).toEqual({ lost: 512, lostclone: 512 });
    // What was no snapshot stays none: the images of the tests above are known by their files only.
    expect(after[1]).toMatchObject({ lostcut: 512, 'image-gpt': 512, 'image-xfs': 512 });
    expect(after[2]).toEqual(before[2]);
    await remove(server, { volumes: [clone, id], snapshots: [cut] });
  });

  test('of a directory of Cinder: parents, snapshots and volumes', async () => {
    const directory = join(fileset, 'cinder');
    await mkdir(directory);
    const [a, b, c, s] = ['volume', 'volume', 'volume', 'snapshot'].map(
      (kind) => `${kind}-${randomUUID()}`,
    );
    const at = (name: string | undefined) => join(directory, String(name));
    const mmclone = (...args: readonly string[]) =>
      execFileSync(join(site.bin, 'mmclone'), [...args]);
    await gpt(at(a));
    mmclone('snap', at(a), at(s));
    mmclone('copy', at(s), at(b));
    mmclone('snap', at(a), at(`${c}.snap`));
    mmclone('copy', at(`${c}.snap`), at(c));
    const ended = await command(site, ['adopt', directory]);
    expect(ended.code).toBe(0);
    const handles = parseAllDocuments(ended.out).map(
      (document) => (document.toJS() as { spec: { csi: { volumeHandle: string } } }).spec.csi,
    );
    expect(new Set(Object.values(sectorsOf('volumes')))).toEqual(new Set([512]));
    expect(sectorsOf('snapshots')).toMatchObject({ [String(s)]: 512 });
    expect(new Set(Object.values(sectorsOf('hidden')))).toEqual(new Set([512]));
    const restored = await newVolume(server, 'fromcinder', {
      from: fromSnapshot(`${handles[0]?.volumeHandle.slice(0, 8) ?? ''}.${s ?? ''}`),
    });
    expect(sectorsOf('volumes')).toMatchObject({ fromcinder: 512 });
    const volumes = [restored, ...handles.map(({ volumeHandle }) => volumeHandle)];
    const snapshots = [`${restored.slice(0, 8)}.${s ?? ''}`];
    await remove(server, { volumes, snapshots });
  });
});
