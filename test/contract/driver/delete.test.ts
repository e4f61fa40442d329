import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
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
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const server = await site.serve();

/** What of these objects is left on disk, hidden or not. */
const leftOf = (mark: string): readonly string[] =>
  filesOnDisk(site.root)
    .map((path) => basename(path).replace(/\..*$/, ''))
    .filter((owner) => owner.includes(mark));

/** Nothing is left, as soon as the queue is done where it looks at the same clone parents at that moment. */
async function expectGone(mark: string): Promise<void> {
  for (let tries = 0; leftOf(mark).length > 0 && tries < 600; tries++) await sleep(50);
  expect(leftOf(mark)).toEqual([]);
}

/** A raw volume with this text at its beginning. */
async function written(name: string, text: string): Promise<string> {
  const id = await newVolume(server, name, { mib: 8 });
  const volume = await use(site, server, id, asBlock());
  await writeFile(volume.target, text.padEnd(4096, '.'), { flag: 'r+', flush: true });
  await volume.release();
  return id;
}

const textOf = async (id: string): Promise<string> =>
  (await readFile(imageOnDisk(site.root, id))).subarray(0, 4096).toString().replace(/\.+$/, '');

describe.concurrent('deleting', () => {
  test('34: a volume that is attached is not deleted, and the node is named', async () => {
    const volume_id = await newVolume(server, 'v34');
    const where = { volume_id, node_id: server.node };
    await server.ok('ControllerPublishVolume', { ...where, volume_capability: asBlock() });
    const sentence = await server.refused('DeleteVolume', { volume_id });
    expect(sentence).toMatch(/^FAILED_PRECONDITION .*attached to node a1/);
    await server.ok('ControllerUnpublishVolume', where);
    await remove(server, { volumes: [volume_id, volume_id] });
    await expectGone('v34');
  });

  test('35: children read on after their source is gone', async () => {
    const source = await written('v35', 'mine');
    const clone = await newVolume(server, 'v35c', { from: fromVolume(source) });
    await remove(server, { volumes: [source] });
    expect(await textOf(clone)).toBe('mine');
    const volume = await use(site, server, clone, asBlock());
    expect((await readFile(volume.target)).subarray(0, 4).toString()).toBe('mine');
    await volume.release();
    await remove(server, { volumes: [clone] });
    await expectGone('v35');
  });

  test('36: a snapshot survives its volume: listed, readable, a source, and the name is free again', async () => {
    const source = await written('v36', 'kept');
    const snapshot_id = await newSnapshot(server, 's36', source);
    await remove(server, { volumes: [source] });
    const { entries } = await server.ok('ListSnapshots', { source_volume_id: source });
    expect(entries.map(({ snapshot }) => snapshot?.snapshot_id)).toEqual([snapshot_id]);
    const again = await newVolume(server, 'v36', { mib: 8 });
    expect(again).toBe(source);
    expect(await textOf(again)).toMatch(/^\0+$/);
    const restored = await newVolume(server, 'v36r', { from: fromSnapshot(snapshot_id) });
    expect(await textOf(restored)).toBe('kept');
    await remove(server, { volumes: [again, restored], snapshots: [snapshot_id] });
    await expectGone('36');
  });

  test('37: a snapshot that clones stand on goes for its user at once, and the clones keep their data', async () => {
    const source = await written('v37', 'deep');
    const snapshot_id = await newSnapshot(server, 's37', source);
    const clones = await Promise.all(
      [1, 2].map((n) => newVolume(server, `v37-${n}`, { from: fromSnapshot(snapshot_id) })),
    );
    await remove(server, { snapshots: [snapshot_id, snapshot_id] });
    expect(await server.refused('GetSnapshot', { snapshot_id })).toMatch(/^NOT_FOUND /);
    for (const clone of clones) expect(await textOf(clone)).toBe('deep');
    const again = await newSnapshot(server, 's37', clones[0] ?? '');
    expect(again).toBe(snapshot_id);
    await remove(server, { volumes: [source, ...clones], snapshots: [again] });
    await expectGone('37');
  });

  test.each([
    ['volume first, oldest first', [0, 1, 2, 3, 4], true],
    ['volume first, newest first', [4, 3, 2, 1, 0], true],
    ['volume last, in disorder', [2, 0, 4, 1, 3], false],
  ])('9.1: five snapshots, %s: nothing stays', async (order, going, first) => {
    const name = `v91-${order.replaceAll(/[ ,]/g, '')}`;
    const volume = await newVolume(server, name);
    const ids: string[] = [];
    for (const n of [0, 1, 2, 3, 4]) ids.push(await newSnapshot(server, `${name}-s${n}`, volume));
    if (first) await remove(server, { volumes: [volume] });
    await remove(server, { snapshots: going.map((n) => ids[n] ?? '') });
    if (!first) await remove(server, { volumes: [volume] });
    await expectGone(name);
  });

  test('9.6: deleting what is gone, or never was, succeeds', async () => {
    const volume = await newVolume(server, 'v96');
    const snapshot = await newSnapshot(server, 's96', volume);
    const never = (id: string) => [id, `${id}-never`, 'nope', 'fake-vol-id-1a2b3c', '../../etc'];
    await remove(server, { snapshots: never(snapshot), volumes: never(volume) });
    await remove(server, { snapshots: never(snapshot), volumes: never(volume) });
    await expectGone('96');
  });

  test('an id of another root is unavailable, not gone', async () => {
    const foreign = '00000000.pvc-1';
    const sentence = /^UNAVAILABLE .*00000000/;
    expect(await server.refused('DeleteVolume', { volume_id: foreign })).toMatch(sentence);
    expect(await server.refused('DeleteSnapshot', { snapshot_id: foreign })).toMatch(sentence);
  });

  test('9.3: a clone or restore with a file system keeps its data and is never formatted', async () => {
    const capability = asMount('ext4');
    const id = await newVolume(server, 'v93', { capability, mib: 64 });
    const source = await use(site, server, id, capability);
    await writeFile(`${source.target}/kept`, 'mine', { flush: true });
    const snapshot = await newSnapshot(server, 's93', id);
    for (const from of [fromVolume(id), fromSnapshot(snapshot)]) {
      const copy = await newVolume(server, 'v93c', { capability, from });
      const used = await use(site, server, copy, capability);
      expect(await readFile(`${used.target}/kept`, 'utf8')).toBe('mine');
      await used.release();
      await remove(server, { volumes: [copy] });
    }
    await source.release();
    await remove(server, { volumes: [id], snapshots: [snapshot] });
    await expectGone('93');
  });

  test('9.4: a qcow2 header that a guest wrote is data, and the volume grows as raw', async () => {
    const volume_id = await newVolume(server, 'v94', { mib: 8 });
    const volume = await use(site, server, volume_id, asBlock());
    const header = Buffer.from('514649fb00000003', 'hex');
    const block = Buffer.concat([header, Buffer.alloc(4088)]);
    await writeFile(volume.target, block, { flag: 'r+', flush: true });
    const capacity_range = { required_bytes: String(16 * 1024 * 1024) };
    await server.ok('ControllerExpandVolume', { volume_id, capacity_range });
    await server.ok('NodeExpandVolume', { volume_id, volume_path: volume.target });
    expect((await readFile(volume.target)).length).toBe(16 * 1024 * 1024);
    expect((await readFile(volume.target)).subarray(0, 8)).toEqual(header);
    await volume.release();
    await remove(server, { volumes: [volume_id] });
    await expectGone('v94');
  });
});

test('nothing of all this is left', () => {
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.inUse()).toEqual([]);
});
