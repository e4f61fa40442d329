import { describe, expect, test } from 'vitest';
import type { ForestNode } from '../../../../src/model/forest/forest.ts';
import { readForest } from '../../../../src/service/forest/forest.ts';
import { from, snap, spec, testRoot } from '../../../support/memory/driver.ts';
import { attach, newWorld, quiet, volume, type World } from '../../../support/memory/world.ts';
import { fileOf, living } from '../../../support/memory/truth.ts';

/** The forest, and what was said of records that cannot be read. */
async function forestOf({ driver, gpfs }: World) {
  const [store] = await driver.roots.all();
  await quiet(gpfs);
  gpfs.resetCounts();
  const said: string[] = [];
  const onUnreadable = ({ message }: Error) => said.push(message);
  const files = store ? await readForest(store, (file) => file, { onUnreadable }) : [];
  return { said, of: (name: string) => files.filter((file) => file.name === name), files };
}

const idOf = ({ ids }: World, name: string) => ({ id: ids.get(name) ?? '' });

describe('reading a forest', () => {
  test('costs one read and one block count a file, and no command', async () => {
    const world = await newWorld();
    for (let n = 0; n < 100; n++) await volume(world, `v${n}`);
    const { files } = await forestOf(world);
    expect(files).toHaveLength(100);
    const { total } = world.gpfs;
    expect(total.commands.size).toBe(0);
    expect([total.files.get('read'), total.files.get('held')]).toEqual([100, 100]);
    for (const change of ['createDurable', 'createSparse', 'link', 'unlink', 'rename', 'touch'])
      expect(total.files.has(change)).toBe(false);
  });

  test('says of each file what its record and its blocks say', async () => {
    const world = await newWorld();
    const { driver, gpfs } = world;
    await volume(world, 'v');
    const cut = await driver.snapshots.create(snap('s', idOf(world, 'v')));
    const restored = await driver.volumes.create(spec('r', { source: from('snapshot', cut) }));
    await driver.attachments.publish(attach(restored.id));
    await driver.snapshots.remove(cut.id);
    const { of, files } = await forestOf(world);
    const [tombstone] = of('of s');
    expect(tombstone).toMatchObject({
      kind: 'tombstone',
      id: cut.id,
      held: 4n << 20n,
      parent: null,
    });
    expect(of('v')).toMatchObject([{ kind: 'volume', held: 0n, parent: tombstone?.key }]);
    expect(of('r')).toMatchObject([{ id: restored.id, attachedTo: ['a1'], leaving: false }]);
    expect(files.map(({ createdMs }) => createdMs)).not.toContain(0);
    expect(gpfs.paths().some((path) => path.startsWith(testRoot))).toBe(true);
  });

  test('a file that went behind the back of the driver is missing, and the others are there', async () => {
    const world = await newWorld();
    await volume(world, 'v');
    await volume(world, 'w');
    await world.gpfs.files.unlink(fileOf(world.gpfs, living(world.gpfs).get('volumes/v') ?? ''));
    const { of } = await forestOf(world);
    expect(of('v')[0]?.held).toBe(undefined);
    expect(of('w')[0]?.held).toBe(4n << 20n);
  });

  test('a deletion that stopped half way is shown as one', async () => {
    const world = await newWorld();
    const { gpfs, driver } = world;
    await volume(world, 'v');
    const seen: (ForestNode | undefined)[] = [];
    for (let dies = 1; seen.every((file) => !file?.leaving) && dies < 30; dies++) {
      gpfs.crashAt(dies, 'before');
      await driver.volumes.remove(idOf(world, 'v').id).catch(() => undefined);
      gpfs.heal();
      seen.push((await forestOf(world)).of('v')[0]);
    }
    expect(seen.at(-1)).toMatchObject({ kind: 'volume', leaving: true });
  });

  test('a root that is not mounted has no forest rather than an empty one', async () => {
    const world = await newWorld();
    await volume(world, 'v');
    const [store] = await world.driver.roots.all();
    world.gpfs.set({ mounted: false });
    const onUnreadable = () => undefined;
    const read = store && readForest(store, (file) => file, { onUnreadable });
    await expect(read).rejects.toThrow();
  });
});
