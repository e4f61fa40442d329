import { describe, expect, test } from 'vitest';
import { gpfsCommands } from '../../../../src/gpfs/commands.ts';
import { goneAfterMs } from '../../../../src/store/nodes.ts';
import { audit } from '../../../../src/service/doctor/audit.ts';
import { sweepMs, sweepRoot } from '../../../../src/service/maintenance.ts';
import { from, mounted, serverOn, snap, spec } from '../../../support/memory/driver.ts';
import { group, snaps, withVolumes } from '../../../support/memory/groups.ts';
import { attach } from '../../../support/memory/world.ts';
import {
  contents,
  expectSound,
  fileOf,
  living,
  recordsIn,
  writeVolume,
} from '../../../support/memory/truth.ts';

const everything = { max: 0, token: '' };

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

  test('is not listed, and is undone by the upkeep of the root, though no caller asks again', async () => {
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
