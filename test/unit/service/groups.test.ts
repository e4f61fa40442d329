import { describe, expect, test } from 'vitest';
import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { mostMembers } from '../../../src/model/group.ts';
import { goneAfterMs } from '../../../src/store/nodes.ts';
import { audit } from '../../../src/service/doctor/audit.ts';
import { sweepMs, sweepRoot } from '../../../src/service/maintenance.ts';
import type { Driver } from '../../../src/service/driver.ts';
import {
  block,
  clusterWithRoot,
  from,
  mounted,
  serverOn,
  snap,
  spec,
} from '../../support/driver.ts';
import type { Cluster } from '../../support/driver.ts';
import { group } from '../../support/groups.ts';
import { allow, attach } from '../../support/scenarios.ts';
import {
  contents,
  expectSound,
  fileOf,
  living,
  recordsIn,
  writeVolume,
} from '../../support/truth.ts';

const everything = { max: 0, token: '' };

/** A server and some volumes, each with its name in it. */
async function withVolumes(...names: readonly string[]) {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs);
  const ids: string[] = [];
  for (const name of names) {
    ids.push((await driver.volumes.create(spec(name, { capabilities: [block(), mounted()] }))).id);
    writeVolume(gpfs, name, name);
  }
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the root is not there');
  return { gpfs, driver, ids, store };
}

const snaps = (gpfs: Cluster): number => gpfs.counts.commands.get('mmclone snap') ?? 0;

/** Refused, and nothing is there that was not there before. */
async function refused(
  { gpfs, driver }: { readonly gpfs: Cluster; readonly driver: Driver },
  ids: readonly string[],
  kind: string,
  says: RegExp,
): Promise<void> {
  const before = { paths: gpfs.paths(), cuts: snaps(gpfs) };
  const error: unknown = await driver.groups
    .create(group('g', ids))
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ fault: { kind }, message: expect.stringMatching(says) as string });
  expect({ paths: gpfs.paths(), cuts: snaps(gpfs) }).toEqual(before);
}

describe('a group snapshot', () => {
  test('holds each volume, with one command for each, and its members say which group they are of', async () => {
    const { gpfs, driver, ids } = await withVolumes('v', 'w', 'x');
    const made = await driver.groups.create(group('g', ids));
    expect(snaps(gpfs)).toBe(3);
    expect(made.snapshots.map(({ sourceVolumeId }) => sourceVolumeId)).toEqual(ids);
    expect(made.snapshots.every(({ groupId, ready }) => ready && groupId === made.id)).toBe(true);
    const listed = await driver.snapshots.list({ id: '', sourceVolumeId: '' }, everything);
    expect([...listed.items].sort(byId)).toEqual([...made.snapshots].sort(byId));
    expect(await driver.snapshots.get(made.snapshots[0]?.id ?? '')).toEqual(made.snapshots[0]);
    const members = made.snapshots.map(({ id }) => id);
    expect(await driver.groups.get(made.id, members.toReversed())).toEqual(made);
    await driver.groups.remove(made.id, members.toReversed());
    expect(Object.keys(contents(gpfs))).toEqual(['volumes/v', 'volumes/w', 'volumes/x']);
    expectSound(gpfs);
  });

  test('95: is found again by the same volumes in any order, and by no others', async () => {
    const { gpfs, driver, ids } = await withVolumes('v', 'w', 'x');
    const two = ids.slice(0, 2);
    const made = await driver.groups.create(group('g', two));
    expect(await driver.groups.create(group('g', two.toReversed()))).toEqual(made);
    for (const others of [ids, ids.slice(1), ids.slice(0, 1)])
      await expect(driver.groups.create(group('g', others))).rejects.toMatchObject({
        fault: { kind: 'name-taken' },
        message: 'group snapshot "g" exists already, of volumes v, w; use another name',
      });
    expect(snaps(gpfs)).toBe(2);
    expectSound(gpfs);
  });

  test('outlives its volumes, is found again without them, and can be restored', async () => {
    const { gpfs, driver, ids } = await withVolumes('v', 'w');
    const made = await driver.groups.create(group('g', ids));
    for (const name of ['v', 'w']) writeVolume(gpfs, name, 'later');
    for (const id of ids) await driver.volumes.remove(id);
    expect(await driver.groups.create(group('g', ids))).toEqual(made);
    const [first] = made.snapshots;
    await driver.volumes.create(spec('r', { source: from('snapshot', first ?? { id: '' }) }));
    await driver.groups.remove(
      made.id,
      made.snapshots.map(({ id }) => id),
    );
    expect(contents(gpfs)).toEqual({ 'volumes/r': 'v' });
    expectSound(gpfs);
  });

  test('of a name with anything in it takes no other object its id', async () => {
    const { gpfs, driver, ids } = await withVolumes('v', 'w');
    const made = await driver.groups.create(group('../g\n🙂', ids));
    for (const id of ids)
      await driver.snapshots.create(snap('../g\n🙂', { id })).catch(() => undefined);
    expect(await driver.groups.create(group('../g\n🙂', ids))).toEqual(made);
    expect(living(gpfs).size).toBe(5);
    expectSound(gpfs);
  });

  test('96: keeps its members: one alone is not deleted', async () => {
    const { gpfs, driver, ids } = await withVolumes('v', 'w');
    const { id, snapshots } = await driver.groups.create(group('g', ids));
    await expect(driver.snapshots.remove(snapshots[0]?.id ?? '')).rejects.toThrow(
      'snapshot_id names a snapshot of group snapshot g, which can only be deleted as a whole; delete the VolumeGroupSnapshot',
    );
    const members = snapshots.map((each) => each.id);
    expect((await driver.groups.get(id, members)).snapshots).toHaveLength(2);
    await driver.groups.remove(id, members);
    await driver.snapshots.remove(members[0] ?? '');
    expectSound(gpfs);
  });

  test('94: is neither deleted nor shown with another list of snapshots; an unknown one is gone', async () => {
    const { gpfs, driver, ids, store } = await withVolumes('v', 'w');
    const { id, snapshots } = await driver.groups.create(group('g', ids));
    const [first = '', second = ''] = snapshots.map((each) => each.id);
    for (const other of [[], [first], [first, first], [first, second, 'x'], [first, 'x']]) {
      const wrong = { fault: { kind: 'invalid-request', field: 'snapshot_ids' } };
      await expect(driver.groups.remove(id, other)).rejects.toMatchObject(wrong);
      await expect(driver.groups.get(id, other)).rejects.toMatchObject(wrong);
    }
    for (const unknown of [`${store.id}.no`, 'fake-group-id', first]) {
      await driver.groups.remove(unknown, []);
      await expect(driver.groups.get(unknown, [])).rejects.toMatchObject({
        fault: { kind: 'group-missing' },
      });
    }
    await driver.groups.remove(id, [second, first]);
    await driver.groups.remove(id, [second, first]);
    await expect(driver.groups.get(id, [second, first])).rejects.toThrow('does not exist');
    expectSound(gpfs);
  });
});

const byId = (a: { readonly id: string }, b: { readonly id: string }) => (a.id < b.id ? -1 : 1);

describe('a group that cannot be cut is refused before anything is done', () => {
  test('98: a source that is not there', async () => {
    const world = await withVolumes('v', 'w');
    const { driver, ids, store } = world;
    for (const bad of ['fake', `${store.id}.no`])
      await refused(world, [ids[0] ?? '', bad], 'volume-missing', /does not exist/);
    await driver.volumes.remove(ids[1] ?? '');
    await refused(world, ids, 'volume-missing', /volume w does not exist/);
  });

  test('99: no volumes, or one twice', async () => {
    const world = await withVolumes('v');
    await refused(world, [], 'invalid-request', /at least one/);
    await refused(world, [...world.ids, ...world.ids], 'invalid-request', /must not name v twice/);
  });

  test('parameters that nobody knows', async () => {
    const { driver, ids } = await withVolumes('v', 'w');
    const ask = { ...group('g', ids), parameters: new Map([['quick', 'yes']]) };
    await expect(driver.groups.create(ask)).rejects.toThrow('unknown key "quick"');
    const own = new Map([['csi.storage.k8s.io/volumegroupsnapshot/name', 'g']]);
    await driver.groups.create({ ...ask, parameters: own });
  });

  test('volumes of different roots', async () => {
    const gpfs = await clusterWithRoot();
    const roots = ['/gpfs/fs1/csi-data/csi', '/gpfs/fs1/csi-data/more'];
    await gpfs.files.makeDirectory(roots[1] ?? '', 0o750);
    const driver = serverOn(gpfs, 'a1', { roots });
    const ids: string[] = [];
    for (const root of roots) {
      const name = `v${ids.length}`;
      ids.push((await driver.volumes.create(spec(name, { parameters: { root } }))).id);
    }
    await refused({ gpfs, driver }, ids, 'wrong-state', /v0 and v1 .*csi-data\/csi and .*\/more/);
  });

  test('a volume that is as deep as it may be', async () => {
    const gpfs = await clusterWithRoot();
    const driver = serverOn(gpfs, 'a1', { compaction: { maxDepth: 2 } });
    const ids: string[] = [];
    for (const name of ['v', 'w']) ids.push((await driver.volumes.create(spec(name))).id);
    for (const name of ['s1', 's2'])
      await driver.snapshots.create(snap(name, { id: ids[1] ?? '' }));
    await refused({ gpfs, driver }, ids, 'limit-reached', /w has 2 clone parents/);
  });

  test('a raw block volume in use, and a file system that must not be frozen', async () => {
    const world = await withVolumes('v', 'w');
    const [, w = ''] = world.ids;
    await world.driver.attachments.publish(attach(w));
    await refused(world, world.ids, 'wrong-state', /w .* node a1 .* raw block device/);
    await world.driver.attachments.unpublish(w, 'a1');
    await world.driver.attachments.publish(attach(w, 'a1', mounted()));
    await refused(world, world.ids, 'wrong-state', /set freeze: auto with a VolumeAttributesClass/);
    await world.driver.attachments.unpublish(w, 'a1');
    await world.driver.groups.create(group('g', world.ids));
  });

  test('a volume that a lost node may still write to, until that has booted again', async () => {
    const world = await withVolumes('v', 'w');
    const { driver, store, ids, gpfs } = world;
    const lost = serverOn(gpfs.server('b1'), 'b1');
    await lost.roots.all();
    const image = (await store.volumes.read('w'))?.value.image;
    if (!image) throw new Error('w has no image');
    await store.marks.set(image.key, lost.host.self);
    await refused(world, ids, 'wrong-state', /node b1 may still have it open/);
    await serverOn(gpfs.server('b1'), 'b1', { boot: 'boot-2' }).roots.all();
    await driver.groups.create(group('g', ids));
  });

  test('more volumes than can be cut while they are frozen', async () => {
    const world = await withVolumes('v', 'w');
    const [v = ''] = world.ids;
    await world.driver.volumes.modify(v, new Map([['freeze', 'auto']]));
    await world.driver.attachments.publish(attach(v, 'a1', mounted()));
    expect(mostMembers()).toBe(33);
    await allow(world, {});
    const kept = await world.store.abilities.kept();
    const slow = { ...kept, latencyMs: { 'mmclone snap': 6_000 } };
    const abilities = { ...world.store.abilities, kept: () => Promise.resolve(slow) };
    Object.assign(world.store, { abilities });
    await refused(
      world,
      world.ids,
      'limit-reached',
      /1 are the most, as mmclone snap took 6000 ms/,
    );
  });
});

test('a volume alone in its group is cut like any snapshot, in use and without a freeze', async () => {
  const { gpfs, driver, ids } = await withVolumes('v');
  await driver.attachments.publish(attach(ids[0] ?? ''));
  expect((await driver.groups.create(group('g', ids))).snapshots).toHaveLength(1);
  expectSound(gpfs);
});

test('volumes that nodes only read need no freeze', async () => {
  const { driver, ids } = await withVolumes('v', 'w');
  const [v = ''] = ids;
  const reading = mounted('ext4', 'MULTI_NODE_READER_ONLY');
  await driver.attachments.publish({ ...attach(v, 'a1', reading), readonly: true });
  expect((await driver.groups.create(group('g', ids))).snapshots).toHaveLength(2);
});

test('a volume that is attached between the look at it and its cut makes the whole group come to nothing', async () => {
  const { gpfs, driver, ids, store } = await withVolumes('v', 'w');
  const swap = store.groups.swap.bind(store.groups);
  let attached = 0;
  const groups: typeof store.groups = {
    ...store.groups,
    swap: async (...given) => {
      const swapped = await swap(...given);
      if (attached++ === 0) await driver.attachments.publish(attach(ids[1] ?? ''));
      return swapped;
    },
  };
  Object.assign(store, { groups });
  await expect(driver.groups.create(group('g', ids))).rejects.toMatchObject({
    fault: { kind: 'busy' },
  });
  expect(Object.keys(contents(gpfs))).toEqual(['volumes/v', 'volumes/w']);
  await driver.attachments.unpublish(ids[1] ?? '', 'a1');
  await driver.groups.create(group('g', ids));
  expectSound(gpfs);
});

describe('volumes that are in use', () => {
  /** Two volumes whose class wants freezes, mounted on a node. */
  async function inUse() {
    const world = await withVolumes('v', 'w');
    for (const id of world.ids) {
      await world.driver.volumes.modify(id, new Map([['freeze', 'auto']]));
      await world.driver.attachments.publish(attach(id, 'a1', mounted()));
    }
    const requests = async (count: number) => {
      for (;;) {
        const found = await world.store.freezes.requestsTo('a1');
        if (found.length === count) return found;
        await new Promise(setImmediate);
      }
    };
    const cut = () => world.driver.groups.create(group('g', world.ids));
    const answer = ({ nonce }: { readonly nonce: string }, why = '') =>
      world.store.freezes.answer('a1', nonce, why);
    return { ...world, requests, cut, answer };
  }

  const nothingCut = ({ gpfs }: { readonly gpfs: Cluster }): void => {
    expect(Object.keys(contents(gpfs))).toEqual(['volumes/v', 'volumes/w']);
    expectSound(gpfs);
  };

  test('are cut once the last of them is frozen, and not before', async () => {
    const { gpfs, requests, cut, answer } = await inUse();
    const made = cut();
    const [first, second] = await requests(2);
    if (!first || !second) throw new Error('nobody was asked');
    await answer(first);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(snaps(gpfs)).toBe(0);
    await answer(second);
    expect((await made).snapshots).toHaveLength(2);
    expect(await requests(0)).toEqual([]);
    expectSound(gpfs);
  });

  test('are not cut where one is refused, or its node says nothing', async () => {
    const refusing = await inUse();
    const made = refusing.cut();
    const [first, second] = await refusing.requests(2);
    if (!first || !second) throw new Error('nobody was asked');
    await refusing.answer(first);
    await refusing.answer(second, 'somebody trims it');
    await expect(made).rejects.toThrow(
      /was not frozen .*\(node a1: somebody trims it\).*try again/,
    );
    const silent = await inUse();
    await expect(silent.cut()).rejects.toMatchObject({ fault: { kind: 'busy' } });
    for (const world of [refusing, silent]) {
      expect(snaps(world.gpfs)).toBe(0);
      expect(await world.requests(0)).toEqual([]);
      nothingCut(world);
    }
  });

  test('are given back when one thaws before the last cut, or nobody can tell any more', async () => {
    const early = await inUse();
    const late = await inUse();
    for (const [world, disturb] of [
      [early, (nonce: string) => early.store.freezes.takeBack('a1', nonce)],
      [late, () => Promise.resolve(late.gpfs.clock.tick(10_000))],
    ] as const) {
      const made = world.cut();
      const asked = await world.requests(2);
      const swap = world.store.snapshots.swap.bind(world.store.snapshots);
      const disturbing: typeof swap = async (...given) => {
        if (given[2].state === 'creating') await disturb(asked[0]?.nonce ?? '');
        return swap(...given);
      };
      Object.assign(world.store, { snapshots: { ...world.store.snapshots, swap: disturbing } });
      for (const each of asked) await world.answer(each);
      await expect(made).rejects.toThrow('it was over before the snapshot was cut');
      expect(snaps(world.gpfs)).toBe(2);
      nothingCut(world);
    }
  });
});

describe('a group that its server left half made', () => {
  /** The server stands still after both cuts, before it can say that the group is ready. */
  async function halfMade() {
    const world = await withVolumes('v', 'w');
    const { gpfs, driver, ids, store } = world;
    const other = serverOn(gpfs.server('b1'), 'b1');
    await other.roots.all();
    const swap = store.groups.swap.bind(store.groups);
    await new Promise<void>((resolve) => {
      const standing = new Promise<never>(() => {
        // For ever.
      });
      const swapOrStand: typeof swap = (id, held, value, ...rest) => {
        if (value.state !== 'ready') return swap(id, held, value, ...rest);
        resolve();
        return standing;
      };
      Object.assign(store, { groups: { ...store.groups, swap: swapOrStand } });
      void driver.groups.create(group('g', ids));
    });
    expect(snaps(gpfs)).toBe(2);
    return { ...world, other };
  }

  test('is not listed, and is undone by whoever looks after the root, though nobody asks again', async () => {
    const { gpfs, other } = await halfMade();
    expect(recordsIn(gpfs, 'groups').map(({ state }) => state)).toEqual(['creating']);
    const listed = await other.snapshots.list({ id: '', sourceVolumeId: '' }, everything);
    expect(listed.items).toEqual([]);
    gpfs.clock.tick(goneAfterMs + sweepMs);
    for (const store of await other.roots.all()) await sweepRoot(other.host, store);
    expect(Object.keys(contents(gpfs))).toEqual(['volumes/v', 'volumes/w']);
    expectSound(gpfs);
  });

  test('is busy while its server may be alive, and is deleted as if it had never been', async () => {
    const { gpfs, other, store, ids } = await halfMade();
    const id = `${store.id}.g`;
    await expect(other.groups.remove(id, [])).rejects.toMatchObject({ fault: { kind: 'busy' } });
    await expect(other.groups.get(id, [])).rejects.toThrow('does not exist');
    await expect(other.groups.create(group('g', ids))).rejects.toThrow('group g is busy');
    gpfs.clock.tick(goneAfterMs + 1);
    await other.groups.remove(id, []);
    expect(Object.keys(contents(gpfs))).toEqual(['volumes/v', 'volumes/w']);
    expect(fileOf(gpfs, living(gpfs).get('volumes/v') ?? '')).toMatch(/volumes/);
    expectSound(gpfs);
  });
});

test('the doctor knows groups, a root from before them too, and says when one is broken', async () => {
  const { gpfs, driver, ids, store } = await withVolumes('v', 'w');
  const look = async () =>
    (await audit({ clone: gpfsCommands(gpfs.run).clone, clock: gpfs.clock }, store)).findings;
  await driver.groups.create(group('g', ids));
  expect(await look()).toEqual([]);
  const [member] = (await store.groups.read('g'))?.value.members ?? [];
  await store.snapshots.update(member?.snapshot ?? '', ({ group: _, ...rest }) => rest);
  expect(await look()).toMatchObject([{ kind: 'broken group', object: 'g' }]);
  const members = (await store.groups.read('g'))?.value.members ?? [];
  const publicIds = members.map(({ snapshot }) => `${store.id}.${snapshot}`);
  await expect(driver.groups.get(`${store.id}.g`, publicIds)).rejects.toThrow('delete the group');
  await driver.groups.remove(`${store.id}.g`, publicIds);
  // What the group lost is a snapshot like others.
  await driver.snapshots.remove(publicIds[0] ?? '');
  expectSound(gpfs);
  const old = { ...store.groups, shards: () => store.files.list('/gpfs/fs1/nothing') };
  Object.assign(store, { groups: old });
  expect(await look()).toEqual([]);
});
