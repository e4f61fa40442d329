import { expect, test } from 'vitest';
import { localIdOf, publicId, shardOf } from '../../../src/model/ids.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { clusterWithRoot, serverOn, spec } from '../../support/memory/driver.ts';

async function driverWith(count: number): Promise<{ driver: Driver; ids: readonly string[] }> {
  const driver = serverOn((await clusterWithRoot()).server('a1'));
  const ids: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const { id } = await driver.volumes.create(spec(`pvc-${i}`));
    ids.push(id);
  }
  return { driver, ids };
}

/** Every page of a list; `between` is done before each but the first. */
async function pages(driver: Driver, max: number, between: (last: string) => Promise<void>) {
  const seen: string[][] = [];
  for (let token = ''; ;) {
    const { items, next } = await driver.volumes.list({ max, token });
    seen.push(items.map(({ id }) => id));
    if (next === '') return seen;
    token = next;
    await between(seen.at(-1)?.at(-1) ?? '');
  }
}

test('pages hold every volume once, also when the last one of each is deleted', async () => {
  const { driver, ids } = await driverWith(60);
  const seen = await pages(driver, 7, (last) => driver.volumes.remove(last));
  expect(seen.map(({ length }) => length)).toEqual([7, 7, 7, 7, 7, 7, 7, 7, 4]);
  expect(seen.flat().toSorted()).toEqual(ids.toSorted());
});

test('a version that was followed since it was listed is read as what it became', async () => {
  const { driver } = await driverWith(1);
  const [store] = await driver.roots.all();
  const listed = await store?.volumes.readListed('pvc-0', 1);
  expect(listed).toEqual(await store?.volumes.read('pvc-0'));
  expect(listed).toMatchObject({ version: 2, value: { state: 'ready' } });
});

test('twenty lists read the record of each deleted volume once', async () => {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs.server('a1'));
  const all = Array.from({ length: 40 }, (_, n) => `pvc-${n}`);
  for (const name of all) await driver.volumes.create(spec(name));
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the cluster has a root');
  const live = all.slice(0, 4);
  for (const name of all.slice(4)) await driver.volumes.remove(publicId(store.id, localIdOf(name)));
  const reads = async (): Promise<number> => {
    gpfs.resetCounts();
    expect((await driver.volumes.list({ max: 0, token: '' })).items.length).toBe(live.length);
    return gpfs.counts.files.get('read') ?? 0;
  };
  const first = await reads();
  expect(first).toBeGreaterThanOrEqual(all.length);
  const later = [];
  for (let n = 1; n < 20; n += 1) later.push(await reads());
  expect(later).toEqual(later.map(() => first - (all.length - live.length)));
});

test('the record of a deleted volume is read once, and a volume of the same name is listed', async () => {
  const { driver, ids } = await driverWith(3);
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the cluster has a root');
  const [first = '', ...others] = ids;
  await driver.volumes.remove(first);
  const list = async () => (await driver.volumes.list({ max: 0, token: '' })).items;
  const [, version = 0] = [...(await store.volumes.ids(shardOf('pvc-0')))][0] ?? [];
  expect(store.gone.has('volumes', 'pvc-0', version)).toBe(false);
  expect((await list()).map(({ id }) => id)).toEqual(expect.arrayContaining([...others]));
  expect(store.gone.has('volumes', 'pvc-0', version)).toBe(true);
  await driver.volumes.create(spec('pvc-0'));
  expect((await list()).map(({ id }) => id).sort()).toEqual([...ids].sort());
});
