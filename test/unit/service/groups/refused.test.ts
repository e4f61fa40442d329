import { describe, expect, test } from 'vitest';
import { mostMembers } from '../../../../src/model/group.ts';
import type { Driver } from '../../../../src/service/driver.ts';
import {
  clusterWithRoot,
  mounted,
  serverOn,
  snap,
  spec,
  type Cluster,
} from '../../../support/memory/driver.ts';
import { group, snaps, withVolumes } from '../../../support/memory/groups.ts';
import { allow, attach } from '../../../support/memory/world.ts';

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
