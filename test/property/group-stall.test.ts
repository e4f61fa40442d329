import { expect, test } from 'vitest';
import { goneAfterMs } from '../../src/store/nodes.ts';
import { reclaimAll } from '../../src/service/maintenance.ts';
import { dataFiles, serverOn, tend } from '../support/memory/driver.ts';
import { dropGroup, groupScenarios } from '../support/memory/groups.ts';
import { callsOf } from '../support/memory/calls.ts';
import { newWorld, quiet, type Scenario } from '../support/memory/world.ts';
import { contents, problemsIn } from '../support/memory/truth.ts';

// What controller-stall does not ask: nobody makes the group again, so that nothing but what undoing leaves stands in the
// way of the server that slept.

const [taking] = groupScenarios;
if (!taking) throw new Error('there is no scenario');
const scenario: Scenario = taking;

/** A server sleeps at a call, another one deletes what it has of the group, and the first wakes up. */
async function stallOnce(n: number): Promise<readonly string[]> {
  const world = await newWorld({ lateEffects: true });
  const { gpfs, driver, ids } = world;
  const other = serverOn(gpfs.server('b1'), 'b1');
  await scenario.prepare(world);
  await other.roots.all();
  await quiet(gpfs);
  const release = gpfs.stallAt(n);
  const sleeper = scenario.act(driver, world).then(
    () => true,
    () => false,
  );
  await quiet(gpfs);
  gpfs.clock.tick(goneAfterMs + 1);
  await dropGroup(other, 'g');
  release();
  const served = await sleeper;
  await quiet(gpfs);
  const left = Object.keys(contents(gpfs)).length - 2;
  const wrong = left === (served ? 2 : 0) ? [] : [`${left} snapshots are left`];
  // A parent that was cut late stands above its image until that goes.
  await dropGroup(other, 'g');
  for (const id of ids.values()) await other.volumes.remove(id);
  for (const server of [driver, other]) {
    await tend(server);
    for (const store of await server.roots.all()) await reclaimAll(server.host, store);
    await tend(server);
  }
  return [...wrong, ...problemsIn(gpfs), ...dataFiles(gpfs)];
}

test('a server that slept while its half made group was deleted leaves none of it', async () => {
  const { sleeps } = await callsOf(scenario);
  expect(sleeps.length).toBeGreaterThan(60);
  const failed: string[] = [];
  for (const n of sleeps) for (const each of await stallOnce(n)) failed.push(`call ${n}: ${each}`);
  expect(failed).toEqual([]);
});
