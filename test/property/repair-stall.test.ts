import { expect, test } from 'vitest';
import { scenarios } from '../support/memory/compaction-scenarios.ts';
import { serverOn, type Cluster } from '../support/memory/driver.ts';
import { repaired, wrong } from '../support/memory/forest.ts';
import { contents } from '../support/memory/truth.ts';
import { callsOf } from '../support/memory/calls.ts';
import { newWorld, quiet } from '../support/memory/world.ts';

test('a repair beside running servers touches nothing that a living one has claimed, at any point of any operation', async () => {
  for (const scenario of scenarios) {
    // A repair goes by what lies in the root, which only such calls change.
    const { changing } = await callsOf(scenario);
    for (const n of changing) {
      const world = await newWorld();
      await scenario.prepare(world);
      const [store] = await world.driver.roots.all();
      if (!store) throw new Error('the root is not there');
      const release = world.gpfs.stallAt(n, 'after');
      const acting = scenario.act(world.driver, world);
      await quiet(world.gpfs);
      const told = await repaired({ gpfs: viewB(world.gpfs), store: await storeB(world) }, 0);
      release();
      const at = `${scenario.name}, stalled after call ${n}: ${told.join('; ')}`;
      expect(await acting.catch((error: unknown) => String(error)), at).toBe(scenario.answer);
      await quiet(world.gpfs);
      expect(await wrong({ gpfs: world.gpfs, store }), at).toEqual([]);
      expect(contents(world.gpfs), at).toEqual(scenario.after);
    }
  }
});

const viewB = (gpfs: Cluster) =>
  Object.assign(Object.create(gpfs) as typeof gpfs, gpfs.server('b1'));

async function storeB({ gpfs }: Awaited<ReturnType<typeof newWorld>>) {
  const [store] = await serverOn(gpfs.server('b1'), 'b1').roots.all();
  if (!store) throw new Error('the root is not there');
  await quiet(gpfs);
  return store;
}
