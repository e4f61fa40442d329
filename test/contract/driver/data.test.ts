import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { open, readFile, readdir, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  asBlock,
  asMount,
  fromSnapshot,
  fromVolume,
  newSnapshot,
  newVolume,
  remove,
  use,
} from '../../support/disk/csi.ts';
import { startCounter } from '../../support/disk/counter.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const server = await site.serve();
const GiB = 1024 ** 3;

/** Names and checksums of all files of a mounted volume. */
async function content(target: string): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(target)).filter((name) => name !== 'lost+found').sort();
  const sums = names.map(async (name) => [name, hash(await readFile(join(target, name)))] as const);
  return Object.fromEntries(await Promise.all(sums));
}

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const put = (target: string, name: string, text: string) =>
  writeFile(join(target, name), text.repeat(20_000), { flush: true });

/** Says of an image that is not attached whether its file system is sound, after its log was replayed. */
function check(fsType: string, image: string): void {
  if (fsType === 'ext4') execFileSync('e2fsck', ['-fn', image], { stdio: 'ignore' });
  else execFileSync('xfs_repair', ['-n', '-f', image], { stdio: 'ignore' });
}

test.concurrent.each(['ext4', 'xfs'])(
  '32, 88: source, snapshot, restore and clone on %s each keep their own data, mounted side by side',
  async (fsType) => {
    const capability = asMount(fsType);
    const make = (name: string, from = {}) =>
      newVolume(server, `${name}-${fsType}`, { capability, mib: 512, ...from });
    const source = await use(site, server, await make('v32'), capability);
    await put(source.target, 'shared', 'first ');
    const snapshot = await newSnapshot(server, `s32-${fsType}`, source.id);
    await put(source.target, 'shared', 'second ');
    const live = { from: fromVolume(source.id), mib: 512 };
    const clone = await use(site, server, await make('v32c', live), capability);
    const old = { from: fromSnapshot(snapshot), mib: 512 };
    const restored = await use(site, server, await make('v32r', old), capability);
    const [first, second] = ['first ', 'second '].map((text) =>
      hash(Buffer.from(text.repeat(20_000))),
    );
    expect(await content(source.target)).toEqual({ shared: second });
    expect(await content(clone.target)).toEqual({ shared: second });
    expect(await content(restored.target)).toEqual({ shared: first });

    for (const [name, { target }] of Object.entries({ source, clone, restored }))
      await put(target, 'shared', name);
    await put(clone.target, 'only in the clone', 'x');
    await unlink(join(restored.target, 'shared'));
    expect(await content(source.target)).toEqual({
      shared: hash(Buffer.from('source'.repeat(20_000))),
    });
    expect(await content(restored.target)).toEqual({});
    expect(Object.keys(await content(clone.target))).toEqual(['only in the clone', 'shared']);
    const again = await use(site, server, await make('v32a', old), capability);
    expect(await content(again.target)).toEqual({ shared: first });

    const volumes = [source, clone, restored, again];
    for (const volume of volumes) await volume.release();
    for (const { id } of volumes) check(fsType, imageOnDisk(site.root, id));
    await remove(server, { volumes: volumes.map(({ id }) => id), snapshots: [snapshot] });
  },
);

test.concurrent.each(['ext4', 'xfs'])(
  '26: a restore into a larger volume has its data and a file system of the new size on %s',
  async (fsType) => {
    const capability = asMount(fsType);
    const id = await newVolume(server, `v26-${fsType}`, { capability, mib: 1024 });
    const source = await use(site, server, id, capability);
    await put(source.target, 'kept', 'x');
    const before = await content(source.target);
    const snapshot = await newSnapshot(server, `s26-${fsType}`, id);
    const wanted = { capability, from: fromSnapshot(snapshot), mib: 3072 };
    const larger = await newVolume(server, `v26-${fsType}-larger`, wanted);
    const restored = await use(site, server, larger, capability);
    expect(await content(restored.target)).toEqual(before);
    const { bsize, blocks } = statfsSync(restored.target);
    expect(bsize * blocks).toBeGreaterThan(2.7 * GiB);
    for (const volume of [source, restored]) await volume.release();
    check(fsType, imageOnDisk(site.root, larger));
    await remove(server, { volumes: [id, larger], snapshots: [snapshot] });
  },
);

test.concurrent('67: an attached volume grows with its file system under the pod', async () => {
  const capability = asMount('xfs');
  const volume_id = await newVolume(server, 'v67', { capability, mib: 512 });
  const volume = await use(site, server, volume_id, capability);
  await put(volume.target, 'kept', 'x');
  const before = await content(volume.target);
  const capacity_range = { required_bytes: String(2 * GiB) };
  const grown = await server.ok('ControllerExpandVolume', { volume_id, capacity_range });
  expect(grown).toEqual({ capacity_bytes: String(2 * GiB), node_expansion_required: true });
  const onNode = { volume_id, volume_path: volume.target, capacity_range };
  expect((await server.ok('NodeExpandVolume', onNode)).capacity_bytes).toBe(String(2 * GiB));
  const { bsize, blocks } = statfsSync(volume.target);
  expect(bsize * blocks).toBeGreaterThan(1.9 * GiB);
  expect(await content(volume.target)).toEqual(before);
  await volume.release();
  await remove(server, { volumes: [volume_id] });
});

test.concurrent('a raw device carries its bytes into snapshot and clone', async () => {
  const capability = asBlock();
  const id = await newVolume(server, 'v32b', { mib: 8 });
  const source = await use(site, server, id, capability);
  await writeFile(source.target, Buffer.alloc(8192, 'a'), { flag: 'r+', flush: true });
  const snapshot = await newSnapshot(server, 's32b', id);
  await writeFile(source.target, Buffer.alloc(4096, 'b'), { flag: 'r+', flush: true });
  const from = fromSnapshot(snapshot);
  const restored = await use(site, server, await newVolume(server, 'v32br', { from }), capability);
  const bytes = (path: string) => readFileSync(path).subarray(0, 12_288).toString();
  const zeros = '\0'.repeat(4096);
  expect(bytes(restored.target)).toBe(`${'a'.repeat(8192)}${zeros}`);
  expect(bytes(source.target)).toBe(`${'b'.repeat(4096)}${'a'.repeat(4096)}${zeros}`);
  for (const volume of [source, restored]) await volume.release();
  await remove(server, { volumes: [id, restored.id], snapshots: [snapshot] });
});

test.concurrent.each(['ext4', 'xfs'])(
  '61: a snapshot of %s during writes has all that was acknowledged before it, and a sound file system',
  async (fsType) => {
    const capability = asMount(fsType);
    const id = await newVolume(server, `v61-${fsType}`, { capability, mib: 512 });
    const source = await use(site, server, id, capability);
    const writer = startCounter(join(source.target, 'counter'));
    await writer.reaches(20);
    const cuts: { readonly snapshot: string; readonly sure: number }[] = [];
    for (let n = 0; n < 3; n += 1) {
      const sure = writer.acknowledged();
      cuts.push({ snapshot: await newSnapshot(server, `s61-${fsType}-${n}`, id), sure });
      await writer.reaches(writer.acknowledged() + 5);
    }
    await writer.stop();
    await source.release();
    for (const { snapshot, sure } of cuts) {
      const name = `v61-${fsType}-${sure}`;
      const wanted = { capability, from: fromSnapshot(snapshot) };
      const restored = await use(site, server, await newVolume(server, name, wanted), capability);
      const lines = (await readFile(join(restored.target, 'counter'), 'utf8')).split('\n');
      expect(lines.slice(0, sure)).toEqual(Array.from({ length: sure }, (_, line) => String(line)));
      await restored.release();
      check(fsType, imageOnDisk(site.root, restored.id));
      await remove(server, { volumes: [restored.id], snapshots: [snapshot] });
    }
    await remove(server, { volumes: [id] });
  },
);

test('33: a chain of ten clones of clones reads its own line from each ancestor', async () => {
  for (const order of ['oldest first', 'newest first', 'inner first']) {
    const ids = [await newVolume(server, `v33-${order}-0`, { mib: 16 })];
    for (let depth = 1; depth <= 10; depth += 1) {
      const parent = ids.at(-1) ?? '';
      await writeLine(parent, depth - 1);
      ids.push(await newVolume(server, `v33-${order}-${depth}`, { from: fromVolume(parent) }));
    }
    const inOrder = { 'oldest first': ids, 'newest first': ids.toReversed() }[order];
    const going = inOrder ?? [...ids.slice(3, 8), ...ids.slice(0, 3), ...ids.slice(8)];
    for (const id of going) {
      for (const left of going.slice(going.indexOf(id))) await expectLines(left, ids.indexOf(left));
      await remove(server, { volumes: [id] });
    }
    expect(filesOnDisk(site.root)).toEqual([]);
  }
});

const lineOf = (depth: number): string => `written at depth ${depth}`.padEnd(4096);

/** Attached meanwhile: what was not could not have changed, so that a clone may share an older parent. */
async function writeLine(volume_id: string, depth: number): Promise<void> {
  const where = { volume_id, node_id: server.node };
  await server.ok('ControllerPublishVolume', { ...where, volume_capability: asBlock() });
  {
    await using file = await open(imageOnDisk(site.root, volume_id), 'r+');
    await file.write(lineOf(depth), depth * 4096);
  }
  await server.ok('ControllerUnpublishVolume', where);
}

async function expectLines(id: string, depth: number): Promise<void> {
  const text = (await readFile(imageOnDisk(site.root, id))).subarray(0, 11 * 4096).toString();
  const own = Math.min(depth + 1, 10);
  const wanted = Array.from({ length: own }, (_, line) => lineOf(line)).join('');
  expect(text.slice(0, own * 4096)).toBe(wanted);
  expect(text.slice(own * 4096).replaceAll('\0', '')).toBe('');
}

test('nothing of all this is left', () => {
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.inUse()).toEqual([]);
});
