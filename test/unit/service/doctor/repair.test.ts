import { describe, expect, test } from 'vitest';
import { serverOn } from '../../../support/memory/driver.ts';
import { forest, found, kinds, removeState, repaired } from '../../../support/memory/forest.ts';
import { quiet } from '../../../support/memory/world.ts';
import { contents, expectSound, living } from '../../../support/memory/truth.ts';

describe('a root whose records and edges are gone', () => {
  test('is rebuilt from its files, and everything in it reads as before', async () => {
    const world = await forest();
    const before = living(world.gpfs);
    const values = contents(world.gpfs);
    await removeState(world.gpfs, 'records', 'edges');
    expect((await kinds(world)).every((each) => each.startsWith('orphan'))).toBe(true);
    const told = await repaired(world);
    expect(told.filter((each) => each.startsWith('made a record')).length).toBe(8);
    expect(await found(world)).toEqual([]);
    // The tombstone cannot be told from a snapshot any more, so it is one again.
    const dead = [...living(world.gpfs).keys()].filter((name) => !before.has(name));
    expect(dead).toEqual(['snapshots/dead']);
    for (const [name, key] of before) expect(living(world.gpfs).get(name)).toBe(key);
    expect(contents(world.gpfs)).toMatchObject(values);
    expect(await world.store.volumes.read('lone')).toMatchObject({
      value: { bytes: 64n << 20n, content: { kind: 'unknown' }, attachments: [], state: 'ready' },
    });
    const driver = serverOn(world.gpfs);
    await driver.roots.all();
    for (const name of ['r', 'v', 'c', 'lone'])
      await driver.volumes.remove(world.ids.get(name) ?? '');
    for (const name of ['s1', 's2']) await driver.snapshots.remove(world.ids.get(name) ?? '');
    await driver.snapshots.remove((world.ids.get('s1') ?? '').replace(/s1$/, 'dead'));
    await quiet(world.gpfs);
    expectSound(world.gpfs);
    expect(living(world.gpfs).size).toBe(0);
  });

  test('does not guess between two images of one volume', async () => {
    const world = await forest();
    const path = world.path('volumes/lone').replace(/lone\..*/, 'lone.1-abcdef00');
    await world.gpfs.files.createSparse(path, 4096n, 0o660);
    await removeState(world.gpfs, 'records', 'edges');
    world.gpfs.clock.tick(2 * 3_600_000);
    const told = await repaired(world);
    expect(told.filter((each) => each.includes('several images'))).toHaveLength(2);
    expect(world.gpfs.paths()).toContain(path);
    expect(await world.store.volumes.read('lone')).toBeUndefined();
  });
});

describe('a repair beside running servers', () => {
  test('leaves what is young', async () => {
    const world = await forest();
    const young = world.path('volumes/lone').replace(/lone\..*/, 'lone.1-abcdef00');
    await world.gpfs.files.createSparse(young, 4096n, 0o660);
    expect(await repaired(world)).toEqual([expect.stringMatching(/left .*too young/)]);
    expect(world.gpfs.paths()).toContain(young);
  });
});
