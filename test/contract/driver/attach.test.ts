import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  asBlock,
  asMount,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  use,
} from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const limit = { flags: { 'max-volumes-per-node': '3' } };
const [a, b, small] = await Promise.all([
  site.serve('a1'),
  site.serve('b1'),
  site.serve('c1', limit),
]);
const shared = asBlock('MULTI_NODE_MULTI_WRITER');

describe.concurrent('attaching', () => {
  test('72: the same again is fine, with another capability or readonly it is attached already', async () => {
    const volume_id = await newVolume(a, 'v72');
    const ask = { volume_id, node_id: 'a1', volume_capability: asBlock() };
    await a.ok('ControllerPublishVolume', ask);
    await b.ok('ControllerPublishVolume', ask);
    for (const other of [{ volume_capability: asMount() }, { readonly: true }])
      expect(await b.refused('ControllerPublishVolume', { ...ask, ...other })).toMatch(
        /^ALREADY_EXISTS .*node a1/,
      );
    await b.ok('ControllerUnpublishVolume', { volume_id, node_id: 'a1' });
    await remove(a, { volumes: [volume_id] });
  });

  test('73: a second node is refused, and the first is named', async () => {
    const volume_id = await newVolume(a, 'v73');
    const ask = (node_id: string) => ({ volume_id, node_id, volume_capability: asBlock() });
    await b.ok('ControllerPublishVolume', ask('a1'));
    for (const server of [a, b])
      expect(await server.refused('ControllerPublishVolume', ask('b1'))).toMatch(
        /^FAILED_PRECONDITION .*attached to node a1/,
      );
    await a.ok('ControllerUnpublishVolume', { volume_id, node_id: 'a1' });
    await a.ok('ControllerPublishVolume', ask('b1'));
    await a.ok('ControllerUnpublishVolume', { volume_id, node_id: 'b1' });
    await remove(b, { volumes: [volume_id] });
  });

  test('73: two nodes asked for at once by two servers: one gets it', async () => {
    const volume_id = await newVolume(a, 'v73r');
    const ask = (node_id: string) => ({ volume_id, node_id, volume_capability: asBlock() });
    const answers = await Promise.all([
      a.call('ControllerPublishVolume', ask('a1')),
      b.call('ControllerPublishVolume', ask('b1')),
    ]);
    const codes = answers.map(({ code }) => code);
    expect(codes.filter((code) => code === 'OK')).toHaveLength(1);
    expect(codes.find((code) => code !== 'OK')).toMatch(/^(?:ABORTED|FAILED_PRECONDITION)$/);
    const { status } = await a.ok('ControllerGetVolume', { volume_id });
    expect(status?.published_node_ids).toEqual([codes[0] === 'OK' ? 'a1' : 'b1']);
    await a.ok('ControllerUnpublishVolume', { volume_id });
    await remove(a, { volumes: [volume_id] });
  });

  test('74, 75: a raw device on two nodes shows one image, and unpublish without a node means all', async () => {
    const volume_id = await newVolume(a, 'v74', { capability: shared });
    const onA = await use(site, a, volume_id, shared);
    const onB = await use(site, b, volume_id, shared);
    await writeFile(onA.target, 'from a1'.padEnd(4096), { flag: 'r+', flush: true });
    expect((await readFile(onB.target)).subarray(0, 7).toString()).toBe('from a1');
    for (const used of [onA, onB]) {
      const server = used === onA ? a : b;
      await server.ok('NodeUnpublishVolume', { volume_id, target_path: used.target });
      await server.ok('NodeUnstageVolume', { volume_id, staging_target_path: used.staging });
    }
    await a.ok('ControllerUnpublishVolume', { volume_id });
    const { status } = await b.ok('ControllerGetVolume', { volume_id });
    expect(status?.published_node_ids).toEqual([]);
    await remove(b, { volumes: [volume_id] });
  });

  test('76: unpublishing what is unknown, or not there, is done', async () => {
    const volume_id = await newVolume(a, 'v76');
    for (const node_id of ['a1', 'never-heard-of', ''])
      for (const id of [volume_id, 'nope', `${volume_id}-never`])
        await a.ok('ControllerUnpublishVolume', { volume_id: id, node_id });
    const ask = { volume_id, node_id: 'never-heard-of', volume_capability: asBlock() };
    expect(await a.refused('ControllerPublishVolume', ask)).toMatch(/^NOT_FOUND .*never-heard-of/);
    const unknown = { ...ask, volume_id: 'nope', node_id: 'a1' };
    expect(await a.refused('ControllerPublishVolume', unknown)).toMatch(/^NOT_FOUND .*nope/);
    await remove(a, { volumes: [volume_id] });
  });

  test('77: a node at its limit takes no more until one goes', async () => {
    expect((await small.ok('NodeGetInfo', {})).max_volumes_per_node).toBe('3');
    const ids = await Promise.all([0, 1, 2, 3].map((n) => newVolume(a, `v77-${n}`)));
    const ask = (volume_id = '') => ({
      volume_id,
      node_id: 'c1',
      volume_capability: asBlock(),
    });
    for (const id of ids.slice(0, 3)) await b.ok('ControllerPublishVolume', ask(id));
    const [first, , , last] = ids;
    expect(await a.refused('ControllerPublishVolume', ask(last))).toMatch(
      /^RESOURCE_EXHAUSTED .*c1 has 3 volumes/,
    );
    await a.ok('ControllerPublishVolume', ask(first));
    await a.ok('ControllerUnpublishVolume', { volume_id: first ?? '', node_id: 'c1' });
    await a.ok('ControllerPublishVolume', ask(last));
    for (const volume_id of ids) await b.ok('ControllerUnpublishVolume', { volume_id });
    await remove(a, { volumes: ids });
  });

  test('a volume moves to the other node with its data', async () => {
    const volume_id = await newVolume(b, 'moves', { capability: asMount('xfs'), mib: 320 });
    const before = await use(site, a, volume_id, asMount('xfs'));
    await writeFile(`${before.target}/kept`, 'mine', { flush: true });
    await before.release();
    const after = await use(site, b, volume_id, asMount('xfs'));
    expect(await readFile(`${after.target}/kept`, 'utf8')).toBe('mine');
    await after.release();
    await remove(a, { volumes: [volume_id] });
  });

  test('stage and publish are refused on a node that the volume is not attached to', async () => {
    const volume_id = await newVolume(a, 'elsewhere');
    const volume_capability = asBlock();
    await a.ok('ControllerPublishVolume', { volume_id, node_id: 'a1', volume_capability });
    const { staging } = await site.place('elsewhere');
    const ask = { volume_id, volume_capability, staging_target_path: staging };
    expect(await b.refused('NodeStageVolume', ask)).toMatch(/^FAILED_PRECONDITION .*\(b1\)/);
    await a.ok('ControllerUnpublishVolume', { volume_id });
    await remove(a, { volumes: [volume_id] });
  });
});

describe('two servers on one root', () => {
  test('what one does the other sees at once', async () => {
    const id = await newVolume(a, 'both', { mib: 8 });
    expect(await newVolume(b, 'both', { mib: 8 })).toBe(id);
    const snapshot = await newSnapshot(b, 'both', id);
    expect(await newSnapshot(a, 'both', id)).toBe(snapshot);
    const grown = await b.ok('ControllerExpandVolume', { volume_id: id, capacity_range: mib(16) });
    const { volume } = await a.ok('ControllerGetVolume', { volume_id: id });
    expect(volume?.capacity_bytes).toBe(grown.capacity_bytes);
    await remove(a, { volumes: [id] });
    expect(await b.refused('ControllerGetVolume', { volume_id: id })).toMatch(/^NOT_FOUND /);
    await remove(b, { snapshots: [snapshot] });
  });

  test('20 creations, clones and deletions of the same names by both leave what was asked for', async () => {
    const source = await newVolume(a, 'race-source');
    const names = Array.from({ length: 10 }, (_, index) => `race-${index}`);
    const wanted = (name: string) => (name.endsWith('3') ? {} : { from: fromVolume(source) });
    const ids = await Promise.all(
      [a, b].map((server) =>
        Promise.all(names.map((name) => newVolume(server, name, wanted(name)))),
      ),
    );
    expect(ids[0]).toEqual(ids[1]);
    expect(filesOnDisk(site.root, 'volumes')).toHaveLength(11);
    expect(site.problems()).toEqual([]);
    const going = [source, ...(ids[0] ?? [])];
    await Promise.all([a, b].map((server) => remove(server, { volumes: going })));
    expect(filesOnDisk(site.root)).toEqual([]);
  });
});

test('nothing of all this is left', () => {
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.inUse()).toEqual([]);
  expect(site.problems()).toEqual([]);
});
