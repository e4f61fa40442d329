import { describe, expect, test } from 'vitest';
import {
  asBlock,
  asMount,
  fromSnapshot,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const server = await site.serve();
const bytesOf = (count: number) => String(count * 1024 * 1024);

const volumes = await Promise.all([0, 1, 2, 3, 4].map((n) => newVolume(server, `list${n}`)));
const [first = '', second = ''] = volumes;
const snapshots = await Promise.all(
  [0, 1, 2, 3, 4].map((n) => newSnapshot(server, `snap${n}`, n < 3 ? first : second)),
);

/** Ids of the volumes on one page, and where the next begins. */
async function volumePage(max_entries: number, starting_token = '') {
  const { entries, next_token } = await server.ok('ListVolumes', { max_entries, starting_token });
  return { ids: entries.map(({ volume }) => volume?.volume_id ?? ''), next: next_token };
}

async function snapshotPage(filter: object, max_entries = 0, starting_token = '') {
  const request = { ...filter, max_entries, starting_token };
  const { entries, next_token } = await server.ok('ListSnapshots', request);
  return { ids: entries.map(({ snapshot }) => snapshot?.snapshot_id ?? ''), next: next_token };
}

async function walk(page: (token: string) => ReturnType<typeof volumePage>): Promise<string[]> {
  const ids: string[] = [];
  let next = '';
  do {
    const found = await page(next);
    ids.push(...found.ids);
    next = found.next;
    expect(Buffer.byteLength(next)).toBeLessThanOrEqual(128);
  } while (next !== '');
  return ids;
}

describe('lists', () => {
  test('43, 46: a negative number of entries is malformed', async () => {
    for (const rpc of ['ListVolumes', 'ListSnapshots'] as const)
      for (const max_entries of [-1, -5, -2147483648])
        expect(await server.refused(rpc, { max_entries })).toMatch(
          /^INVALID_ARGUMENT max_entries /,
        );
  });

  test('44, 45, 50: a token that was not given out is ABORTED, whatever it looks like', async () => {
    const { next } = await volumePage(2);
    const bad = [
      '-1',
      '0',
      '99999999',
      'x',
      'A'.repeat(128),
      `${next}A`,
      next.slice(1),
      `${next}=`,
    ];
    for (const starting_token of bad)
      for (const rpc of ['ListVolumes', 'ListSnapshots'] as const)
        expect(await server.refused(rpc, { starting_token })).toMatch(/^ABORTED starting_token /);
    const starting_token = 'A'.repeat(70_000);
    expect((await server.call('ListVolumes', { starting_token })).code).toMatch(
      /^(?:ABORTED|INVALID_ARGUMENT)$/,
    );
  });

  test('47: a walk by twos sees each once, and so does one page of all', async () => {
    expect((await walk((token) => volumePage(2, token))).sort()).toEqual(volumes.toSorted());
    expect((await volumePage(0)).ids.sort()).toEqual(volumes.toSorted());
    expect((await volumePage(5)).next).toBe('');
    const found = await walk((token) => snapshotPage({}, 2, token));
    expect(found.sort()).toEqual(snapshots.toSorted());
  });

  test('48: a token is good after the last volume of its page was deleted', async () => {
    const extra = await Promise.all([0, 1, 2].map((n) => newVolume(server, `gone48-${n}`)));
    const all = (await volumePage(0)).ids;
    const position = all.findIndex((id) => extra.includes(id));
    const { ids, next } = await volumePage(position + 1);
    await remove(server, { volumes: [ids.at(-1) ?? ''] });
    expect((await volumePage(0, next)).ids).toEqual(all.slice(position + 1));
    await remove(server, { volumes: extra });
  });

  test('49: a token of one list is no token of the other', async () => {
    const { next: ofVolumes } = await volumePage(2);
    const { next: ofSnapshots } = await snapshotPage({}, 2);
    expect(await server.refused('ListSnapshots', { starting_token: ofVolumes })).toMatch(
      /^ABORTED /,
    );
    expect(await server.refused('ListVolumes', { starting_token: ofSnapshots })).toMatch(
      /^ABORTED /,
    );
  });

  test('51: both filters of ListSnapshots must hold; unknown ones give an empty list', async () => {
    const [one = '', , , , last = ''] = snapshots;
    const of = (filter: object) => snapshotPage(filter).then(({ ids }) => ids.sort());
    expect(await of({ snapshot_id: one })).toEqual([one]);
    expect(await of({ source_volume_id: first })).toEqual(snapshots.slice(0, 3).sort());
    expect(await of({ snapshot_id: one, source_volume_id: first })).toEqual([one]);
    expect(await of({ snapshot_id: last, source_volume_id: first })).toEqual([]);
    expect(await of({ snapshot_id: 'unknown' })).toEqual([]);
    expect(await of({ source_volume_id: 'unknown' })).toEqual([]);
    expect(await walk((token) => snapshotPage({ source_volume_id: first }, 1, token))).toHaveLength(
      3,
    );
  });

  test('52: published_node_ids follow publish and unpublish, in every report', async () => {
    const where = { volume_id: first, node_id: server.node };
    const nodes = async () => {
      const { entries } = await server.ok('ListVolumes', {});
      const listed = entries.find(({ volume }) => volume?.volume_id === first)?.status;
      const got = (await server.ok('ControllerGetVolume', { volume_id: first })).status;
      expect(got?.published_node_ids).toEqual(listed?.published_node_ids);
      return listed?.published_node_ids;
    };
    expect(await nodes()).toEqual([]);
    await server.ok('ControllerPublishVolume', { ...where, volume_capability: asBlock() });
    expect(await nodes()).toEqual([server.node]);
    await server.ok('ControllerUnpublishVolume', where);
    expect(await nodes()).toEqual([]);
  });
});

describe.concurrent('single objects', () => {
  test('53, 54, 55: an unknown id is not found, an empty one malformed', async () => {
    expect(await server.refused('ControllerGetVolume', { volume_id: 'nope' })).toMatch(
      /^NOT_FOUND /,
    );
    expect(await server.refused('ControllerGetVolume', {})).toMatch(/^INVALID_ARGUMENT volume_id /);
    expect(await server.refused('GetSnapshot', { snapshot_id: 'nope' })).toMatch(/^NOT_FOUND /);
    expect(await server.refused('GetSnapshot', {})).toMatch(/^INVALID_ARGUMENT snapshot_id /);
    const known = first.replace('list0', 'list99');
    expect(await server.refused('ControllerGetVolume', { volume_id: known })).toMatch(
      /^NOT_FOUND /,
    );
  });

  test('56: Create, List and Get report one volume in the same words', async () => {
    const { volume: created } = await server.ok('CreateVolume', volumeRequest('list0'));
    const { entries } = await server.ok('ListVolumes', {});
    const listed = entries.find(({ volume }) => volume?.volume_id === first)?.volume;
    const { volume: got } = await server.ok('ControllerGetVolume', { volume_id: first });
    expect(listed).toEqual(created);
    expect(got).toEqual(created);
  });

  test('59, 60: a snapshot asked for again is the same to the nanosecond, and ready', async () => {
    const [snapshot_id = ''] = snapshots;
    const again = { name: 'snap0', source_volume_id: first };
    const { snapshot } = await server.ok('CreateSnapshot', again);
    expect(snapshot).toMatchObject({
      snapshot_id,
      source_volume_id: first,
      ready_to_use: true,
      size_bytes: bytesOf(64),
    });
    expect(Number(snapshot?.creation_time?.seconds)).toBeGreaterThan(1_700_000_000);
    expect((await server.ok('GetSnapshot', { snapshot_id })).snapshot).toEqual(snapshot);
    const { entries } = await server.ok('ListSnapshots', { snapshot_id });
    expect(entries).toEqual([{ snapshot }]);
    const other = { name: 'snap0', source_volume_id: second };
    expect(await server.refused('CreateSnapshot', other)).toMatch(/^ALREADY_EXISTS .*snap0/);
  });

  test('63: a snapshot, clone or restore of what is not there is not found, and makes nothing', async () => {
    const unknown = { name: 'v63', source_volume_id: first.replace('list0', 'list99') };
    expect(await server.refused('CreateSnapshot', unknown)).toMatch(/^NOT_FOUND /);
    for (const from of [fromVolume('nope'), fromSnapshot('nope')])
      expect(await server.refused('CreateVolume', volumeRequest('v63', { from }))).toMatch(
        /^NOT_FOUND /,
      );
    expect(filesOnDisk(site.root).filter((path) => path.includes('/v63'))).toEqual([]);
  });

  test('39, 42: what can be served is confirmed in full; the rest is answered without', async () => {
    const ask = { volume_id: first, volume_capabilities: [asBlock()] };
    const yes = await server.ok('ValidateVolumeCapabilities', ask);
    expect(yes.confirmed?.volume_capabilities).toMatchObject([{ access_type: 'block' }]);
    const mode = 'MULTI_NODE_MULTI_WRITER' as const;
    const shared = { ...ask, volume_capabilities: [asMount('ext4', mode)] };
    const no = await server.ok('ValidateVolumeCapabilities', shared);
    expect(no.confirmed).toBeNull();
    expect(no.message).not.toBe('');
    const context = { ...ask, volume_context: { made: 'up' } };
    expect((await server.ok('ValidateVolumeCapabilities', context)).confirmed).toBeNull();
  });

  test('57, 58: capacity is what the file system has; what cannot be served has none', async () => {
    const mode = 'MULTI_NODE_MULTI_WRITER' as const;
    const no = { volume_capabilities: [asMount('ext4', mode)] };
    expect((await server.ok('GetCapacity', no)).available_capacity).toBe('0');
    const { available_capacity, maximum_volume_size } = await server.ok('GetCapacity', {});
    expect(Number(available_capacity)).toBeGreaterThan(10 * 1024 ** 3);
    expect(Number(available_capacity)).toBeLessThan(20 * 1024 ** 3);
    const maximum = Number(maximum_volume_size?.value);
    const range = { capacity_range: { required_bytes: String(maximum) } };
    const largest = { ...volumeRequest('v58'), ...range };
    const { volume } = await server.ok('CreateVolume', largest);
    expect(volume?.capacity_bytes).toBe(String(maximum));
    await remove(server, { volumes: [volume?.volume_id ?? ''] });
    const beyond = {
      ...volumeRequest('v58b'),
      capacity_range: { required_bytes: String(maximum + 1) },
    };
    expect(await server.refused('CreateVolume', beyond)).toMatch(/^OUT_OF_RANGE .*largest/);
  });

  test('64, 65, 66: growing: never back, smaller is no change, and snapshots keep their size', async () => {
    const volume_id = await newVolume(server, 'v64', { mib: 10 });
    const snapshot = await newSnapshot(server, 's64', volume_id);
    const to = (capacity_range: object) => ({ volume_id, capacity_range });
    const grown = await server.ok('ControllerExpandVolume', to(mib(20)));
    expect(grown.capacity_bytes).toBe(bytesOf(20));
    const back = to({ limit_bytes: bytesOf(19) });
    expect(await server.refused('ControllerExpandVolume', back)).toMatch(/^OUT_OF_RANGE .*shrink/);
    for (const range of [mib(5), mib(20), { ...mib(20), limit_bytes: bytesOf(20) }])
      expect((await server.ok('ControllerExpandVolume', to(range))).capacity_bytes).toBe(
        bytesOf(20),
      );
    const kept = (await server.ok('GetSnapshot', { snapshot_id: snapshot })).snapshot;
    expect(kept?.size_bytes).toBe(bytesOf(10));
    const { volume } = await server.ok('ControllerGetVolume', { volume_id });
    expect(volume?.capacity_bytes).toBe(bytesOf(20));
    const unknown = { ...to(mib(20)), volume_id: 'nope' };
    expect(await server.refused('ControllerExpandVolume', unknown)).toMatch(/^NOT_FOUND /);
    await remove(server, { volumes: [volume_id], snapshots: [snapshot] });
  });
});

test('106: every id and context is within what CSI allows', async () => {
  const longest = 'n'.repeat(128);
  const id = await newVolume(server, longest);
  const snapshot = await newSnapshot(server, longest, id);
  for (const each of [id, snapshot, first, ...snapshots])
    expect(Buffer.byteLength(each)).toBeLessThanOrEqual(128);
  const { node_id } = await server.ok('NodeGetInfo', {});
  expect(Buffer.byteLength(node_id)).toBeLessThanOrEqual(128);
  await remove(server, { volumes: [id], snapshots: [snapshot] });
});
