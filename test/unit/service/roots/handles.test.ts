import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { asNamed } from '../../../support/memory/named.ts';
import { gpfsCommands } from '../../../../src/gpfs/commands.ts';
import { adoptFile } from '../../../../src/service/adopt/adopt.ts';
import { adoptDirectory } from '../../../../src/service/adopt/adopt-directory.ts';
import { sweepRoot } from '../../../../src/service/maintenance.ts';
import { migrateVolume } from '../../../../src/service/migrate/migrate.ts';
import { clusterWithRoot, serverOn, spec, testRoot } from '../../../support/memory/driver.ts';

// A handle is for ever: a volume that takes the name of one that moved must not be met by those who have its handle.

const going = { onVolume: () => undefined, signal: new AbortController().signal };

const roots = [testRoot, `${testRoot}-2`, `${testRoot}-3`] as const;
const [, second, third] = roots;

const setup = async () => {
  const gpfs = await clusterWithRoot();
  for (const root of [second, third]) await gpfs.files.makeDirectory(root, 0o750);
  const driver = serverOn(gpfs, 'a1', { roots });
  const [store] = await driver.roots.all();
  if (!store) throw new Error('no root');
  const userOf = () => Promise.resolve(undefined);
  const sectorBytes = () => Promise.resolve(4096 as const);
  const on = { host: driver.host, store, gpfs: gpfsCommands(gpfs.run), userOf, sectorBytes };
  const make = (name: string, root: string) =>
    driver.volumes.create(spec(name, { parameters: { root } }));
  return { gpfs, driver, store, on, make, ...driver };
};
const taken = { fault: { kind: 'name-taken' } };
const cinder = 'volume-00000000-0000-4000-8000-000000000001';

test('a file is not adopted under the name of a volume that moved away', async () => {
  const { gpfs, on, make, driver } = await setup();
  const { id } = await make(cinder, testRoot);
  await migrateVolume(driver.host, id, second);
  const directory = '/gpfs/fs1/csi-data/cinder';
  await gpfs.files.makeDirectory(directory, 0o750);
  const path = `${directory}/${cinder}`;
  await gpfs.files.createSparse(path, 64n << 20n, 0o640);
  gpfs.write(path, 0, 'stranger');
  const before = gpfs.paths();
  const adopting = adoptFile(on, { file: asNamed(path), name: cinder, parent: null });
  await expect(adopting).rejects.toMatchObject(taken);
  await expect(adopting).rejects.toThrow(/was moved to root .*-2; use another name/);
  await expect(adoptDirectory(on, asNamed(directory), going)).rejects.toMatchObject(taken);
  expect(gpfs.paths()).toEqual(before);
  expect((await driver.roots.byId(id))?.store.layout.root).toBe(second);
});

test('a volume is not moved to where the handle of another one leads away from', async () => {
  const { driver, make, gpfs } = await setup();
  const theirs = await make('v', second);
  await migrateVolume(driver.host, theirs.id, third);
  const ours = await make('v', testRoot);
  await expect(migrateVolume(driver.host, ours.id, second)).rejects.toMatchObject(taken);
  expect((await driver.roots.byId(theirs.id))?.store.layout.root).toBe(third);
  expect((await driver.roots.byId(ours.id))?.store.layout.root).toBe(testRoot);
  await driver.volumes.remove(theirs.id);
  expect(await migrateVolume(driver.host, ours.id, second)).toBe('renamed');
  expect(gpfs.paths().filter((path) => /-2\/volumes\/.*\/v\./.test(path))).toHaveLength(1);
});

test('a volume goes round all roots, and back', async () => {
  const { driver, make } = await setup();
  const { id } = await make('v', testRoot);
  for (const root of [second, third, second, testRoot, third, testRoot]) {
    expect(await migrateVolume(driver.host, id, root)).toBe('renamed');
    expect((await driver.roots.byId(id))?.store.layout.root).toBe(root);
  }
});

const notes = ({ gpfs }: Awaited<ReturnType<typeof setup>>) =>
  gpfs.paths().filter((path) => path.includes('/.gpfs-csi/moved/'));

test('the notes that lead to a volume go with it, from every root that it was in', async () => {
  const world = await setup();
  const { driver, make } = world;
  const { id } = await make('v', testRoot);
  for (const root of [second, third]) await migrateVolume(driver.host, id, root);
  expect(notes(world)).toHaveLength(2);
  await driver.volumes.remove(id);
  expect(notes(world)).toEqual([]);
  await driver.volumes.remove(id);
});

test.each(['repetition', 'sweep'])(
  'a server that dies before it removed the notes leaves them to the %s',
  async (how) => {
    const world = await setup();
    const { gpfs, driver, make } = world;
    const { id } = await make('v', testRoot);
    const other = await make('w', testRoot);
    for (const each of [id, other.id]) await migrateVolume(driver.host, each, second);
    const place = await driver.roots.byId(id);
    await place?.store.volumes.update('v', (now) => ({
      ...now,
      state: 'deleted',
      deletedMs: gpfs.clock.now(),
    }));
    if (how === 'repetition') await driver.volumes.remove(id);
    else for (const each of await driver.roots.all()) await sweepRoot(driver.host, each);
    expect(notes(world).map((path) => basename(path))).toEqual(['w']);
    expect((await driver.volumes.get(other.id)).id).toBe(other.id);
  },
);
