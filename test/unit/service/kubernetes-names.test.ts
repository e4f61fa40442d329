import { expect, test } from 'vitest';
import { clusterWithRoot, from, serverOn, snap, spec } from '../../support/memory/driver.ts';
import { attach } from '../../support/memory/world.ts';

const named = (kind: string, name: string) => ({
  [`csi.storage.k8s.io/${kind}/namespace`]: 'data',
  [`csi.storage.k8s.io/${kind}/name`]: name,
});
const asMap = (kind: string, name: string) => new Map(Object.entries(named(kind, name)));

const nameOf = (kubernetes: object) => ({ value: { kubernetes } });

async function site() {
  const driver = serverOn(await clusterWithRoot(), 'a1');
  const [store] = await driver.roots.all();
  if (!store) throw new Error('there is no root');
  return { ...driver, store };
}

test('a record keeps the names of the claim, the snapshot and the group that Kubernetes gives', async () => {
  const { volumes, snapshots, groups, store } = await site();
  const wanted = spec('pvc-1', { parameters: named('pvc', 'db') });
  const volume = await volumes.create(wanted);
  await snapshots.create({
    ...snap('s-1', volume),
    parameters: asMap('volumesnapshot', 'nightly'),
  });
  const of = { name: 'g-1', sourceVolumeIds: [volume.id] };
  await groups.create({ ...of, parameters: asMap('volumegroupsnapshot', 'weekly') });
  const name = { namespace: 'data' };
  expect(await store.volumes.read('pvc-1')).toMatchObject(nameOf({ ...name, name: 'db' }));
  expect(await store.snapshots.read('s-1')).toMatchObject(nameOf({ ...name, name: 'nightly' }));
  const group = await store.groups.read('g-1');
  expect(group).toMatchObject(nameOf({ ...name, name: 'weekly' }));
  for (const { snapshot } of group?.value.members ?? [])
    expect(await store.snapshots.read(snapshot)).toMatchObject(nameOf({ ...name, name: 'weekly' }));
  expect(group?.value.members).toHaveLength(1);
});

test('the name is no part of what the same request is, and a text that is no name is left out', async () => {
  const { volumes, store } = await site();
  const first = await volumes.create(spec('pvc-1', { parameters: named('pvc', 'db') }));
  expect(await volumes.create(spec('pvc-1', { parameters: named('pvc', 'other') }))).toEqual(first);
  expect((await store.volumes.read('pvc-1'))?.value.kubernetes?.name).toBe('db');
  await volumes.create(spec('pvc-2', { parameters: named('pvc', '../../etc') }));
  expect((await store.volumes.read('pvc-2'))?.value.kubernetes).toBeUndefined();
});

test('what is left of a deleted snapshot, or is cut off a claim, keeps its name', async () => {
  const { volumes, snapshots, attachments, store } = await site();
  const volume = await volumes.create(spec('pvc-1', { parameters: named('pvc', 'db') }));
  const parameters = asMap('volumesnapshot', 'nightly');
  const cut = await snapshots.create({ ...snap('s-1', volume), parameters });
  const key = (await store.snapshots.read('s-1'))?.value.file?.key ?? '';
  await snapshots.remove(cut.id);
  const name = { namespace: 'data' };
  expect(await store.hidden.read(key)).toMatchObject(nameOf({ ...name, name: 'nightly' }));
  // Since then a pod may have written, so the clone gets a parent of its own.
  await attachments.publish(attach(volume.id));
  await attachments.unpublish(volume.id, 'a1');
  await volumes.create(spec('pvc-2', { source: from('volume', volume) }));
  const parent = (await store.volumes.read('pvc-2'))?.value.parent ?? '';
  expect(await store.hidden.read(parent)).toMatchObject(nameOf({ ...name, name: 'db' }));
});
