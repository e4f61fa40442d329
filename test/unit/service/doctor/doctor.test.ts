import { describe, expect, test } from 'vitest';
import { sweepRoot } from '../../../../src/service/maintenance.ts';
import { serverOn, spec } from '../../../support/memory/driver.ts';
import { damages } from '../../../support/memory/damages.ts';
import {
  dataInodes,
  forest,
  found,
  kinds,
  repaired,
  wrong,
} from '../../../support/memory/forest.ts';
import { newWorld, quiet } from '../../../support/memory/world.ts';
import { scenarios } from '../../../support/memory/compaction-scenarios.ts';
import { expectSound } from '../../../support/memory/truth.ts';

describe('a sound root', () => {
  test('has no findings, and a repair changes nothing', async () => {
    const world = await forest();
    expect(await found(world)).toEqual([]);
    const before = world.gpfs.paths();
    expect(await repaired(world)).toEqual([]);
    expect(world.gpfs.paths()).toEqual(before);
    expectSound(world.gpfs);
  });

  test.each(scenarios)('after "$name" has none but notes', async ({ prepare, act }) => {
    const world = await newWorld();
    await prepare(world);
    await act(world.driver, world);
    await quiet(world.gpfs);
    const [store] = await world.driver.roots.all();
    if (!store) throw new Error('the root is not there');
    expect(await wrong({ gpfs: world.gpfs, store })).toEqual([]);
  });

  test('is only read by an audit', async () => {
    const world = await forest();
    world.gpfs.resetCounts();
    await found(world);
    expect([...world.gpfs.counts.commands]).toEqual([['mmclone show', 1]]);
    const calls = [...world.gpfs.counts.files.keys()].sort();
    expect(calls).toEqual(['held', 'list', 'read', 'stat', 'statsIn']);
  });
});

describe('a root that somebody damaged', () => {
  test.each(damages)(
    '$name: is found by name, twice the same, and nothing is lost',
    async (damage) => {
      const world = await forest();
      const expected = damage.finds(world).map((each) => each.split(':')[0]);
      const names = damage.finds(world);
      await damage.harm(world);
      world.gpfs.clock.tick(2 * 3_600_000);
      await world.store.nodes.beat('a1');
      const first = await kinds(world);
      expect(first.map((each) => each.split(':')[0]).sort()).toEqual([...expected].sort());
      for (const name of names.filter((each) => /: \w+$/.test(each) && !each.startsWith('orphan')))
        expect(first).toContain(name);
      expect(await kinds(world)).toEqual(first);
      const data = () => [...dataInodes(world)].sort();
      const before = data();
      await repaired(world);
      expect(data()).toEqual(before);
      const after = await kinds(world);
      if (damage.left === 'nothing') expect(after).toEqual([]);
      else expect(after.length).toBeGreaterThan(0);
      const paths = world.gpfs.paths();
      await repaired(world);
      expect(world.gpfs.paths()).toEqual(paths);
    },
  );

  test('the running driver goes on with the rest, and removes nothing on a guess', async () => {
    for (const { name, harm } of damages) {
      const world = await forest();
      await harm(world);
      const before = dataInodes(world);
      world.gpfs.clock.tick(2 * 3_600_000);
      const restarted = serverOn(world.gpfs);
      const [store] = await restarted.roots.all();
      if (store) await sweepRoot(restarted.host, store);
      for (let round = 0; round < 3; round++) await restarted.worker.round();
      await quiet(world.gpfs);
      const kept = [...before].filter((inode) => !dataInodes(world).has(inode));
      expect(kept, name).toEqual([]);
      const other = await restarted.volumes.create(spec('other'));
      expect((await restarted.volumes.get(other.id)).id, name).toBe(other.id);
      await restarted.volumes.remove(other.id);
    }
  });
});
