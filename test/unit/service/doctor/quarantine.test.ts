import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { sweepMs, sweepRoot } from '../../../../src/service/maintenance.ts';
import { forest, found, type Forest } from '../../../support/memory/forest.ts';
import { quiet } from '../../../support/memory/world.ts';

/** Moves the file of an object to where a repair puts files. */
async function setAside(world: Forest, name: string): Promise<string> {
  const { gpfs, store } = world;
  const target = join(store.layout.quarantine, '2026-01-01-abcd', name, basename(world.path(name)));
  const { files } = gpfs;
  const folders = [dirname(target)];
  while (folders[0] !== store.layout.state) folders.unshift(dirname(folders[0] ?? ''));
  for (const folder of folders) await files.makeDirectory(folder, 0o750);
  await files.rename(world.path(name), target);
  return target;
}

/** What doctor says of files in the quarantine. */
const said = async (world: Forest) =>
  (await found(world)).filter(({ kind }) => kind === 'quarantined clone');

/** Hidden parents that were cut off volume v. */
const cutOff = ({ gpfs }: Forest) =>
  gpfs.paths().filter((path) => /\/csi\/hidden\/[0-9a-f]+\/v\./.test(path));

async function sweep({ gpfs, driver, store }: Forest): Promise<void> {
  gpfs.clock.tick(sweepMs + 1);
  await store.nodes.beat('a1');
  await sweepRoot(driver.host, store);
  await quiet(gpfs);
}

test('a clone in the quarantine is named with the parents that stay only for it, and they go with it', async () => {
  const world = await forest();
  const { gpfs, driver, ids } = world;
  const aside = await setAside(world, 'volumes/c');
  await driver.volumes.remove(ids.get('c') ?? '');
  await driver.volumes.remove(ids.get('v') ?? '');
  await sweep(world);
  const hidden = cutOff(world);
  expect(hidden).toHaveLength(1);
  expect(await said(world)).toEqual([
    {
      kind: 'quarantined clone',
      object: aside,
      says: `${aside} reads through clone parent ${basename(hidden[0] ?? '')}, which stays only for this file: 4 MiB of blocks that no volume and no snapshot needs`,
      remedy: expect.stringContaining('delete it, and a server removes what it keeps') as string,
    },
  ]);
  await gpfs.files.unlink(aside);
  await sweep(world);
  expect(cutOff(world)).toEqual([]);
  expect(await said(world)).toEqual([]);
});

test('nothing is promised where others read through the parent too, or a snapshot is the parent', async () => {
  const world = await forest();
  const aside = await setAside(world, 'volumes/c');
  expect((await said(world)).map(({ says }) => says)).toEqual([
    expect.stringMatching(/reads through clone parent v\.\S+, as 1 other file does$/),
  ]);
  await world.gpfs.files.unlink(aside);
  const restored = await setAside(world, 'volumes/r');
  await world.driver.volumes.remove(world.ids.get('v') ?? '');
  await world.driver.snapshots.remove(world.ids.get('s2') ?? '');
  expect(await said(world)).toMatchObject([
    { object: restored, says: expect.stringMatching(/s1/) as string },
  ]);
});

test('a file in the quarantine that is no clone keeps nothing', async () => {
  const world = await forest();
  await setAside(world, 'volumes/lone');
  expect(await said(world)).toEqual([]);
});
