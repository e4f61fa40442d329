import { expect, test } from 'vitest';
import type { Driver } from '../../src/service/driver.ts';
import { beat, sweepMs, sweepRoot } from '../../src/service/maintenance.ts';
import { callsOf } from '../support/memory/calls.ts';
import { scenarios } from '../support/memory/compaction-scenarios.ts';
import { serverOn } from '../support/memory/driver.ts';
import { contents, problemsIn } from '../support/memory/truth.ts';
import { newWorld, quiet, workOff, type Scenario } from '../support/memory/world.ts';

/** Of the calls that change something, a server dies at one of so many; each scenario begins at another one. */
const stride = 2;

/** A crash at one call, after which no caller asks again. Resolves to what the sweep of another server leaves. */
async function abandon(
  { prepare, act, answer, after }: Scenario,
  n: number,
  isBack: Readonly<{ back: boolean }>,
) {
  const world = await newWorld();
  const { gpfs } = world;
  await prepare(world);
  await quiet(gpfs);
  const b1 = serverOn(gpfs.server('b1'), 'b1');
  await b1.roots.all();
  gpfs.crashAt(n, 'after');
  await Promise.allSettled([act(world.driver, world)]);
  await quiet(gpfs);
  gpfs.heal();
  // A new process shows that the old one is gone; without it the node is silent.
  if (isBack.back) await serverOn(gpfs).roots.all();
  gpfs.clock.tick(sweepMs);
  for (const store of await b1.roots.all()) {
    await store.nodes.beat('b1');
    await sweepRoot(b1.host, store);
  }
  await workOff(world, b1);
  await quiet(gpfs);
  // Names stay barred for a silent node, until an administrator gives it up.
  const isLeft = (problem: string): boolean => isBack.back || !problem.endsWith('is still barred');
  const left = problemsIn(gpfs).filter(isLeft);
  const again = await act(b1, world).catch(String);
  await quiet(gpfs);
  if (!isBack.back) await giveUp(b1, 'a1');
  left.push(...problemsIn(gpfs));
  return { left, again, answer, found: contents(gpfs), after };
}

/** An administrator removes the file of a node that is gone for good; names that are barred for it are free then. */
async function giveUp({ host, roots }: Driver, node: string): Promise<void> {
  for (const { files, layout } of await roots.all()) await files.unlink(layout.node(node));
  await beat(host);
}

test.each([
  { name: 'a server that runs again', back: true },
  { name: 'a server that never comes back', back: false },
])(
  'what $name left unfinished is ended by a sweep, and a late request still works',
  async ({ back }) => {
    for (const [start, scenario] of scenarios.entries()) {
      // The file of an expansion could still be cut to the old size by a server that is only silent.
      if (!back && scenario.name === 'expand a volume') continue;
      const { changing } = await callsOf(scenario);
      for (const n of changing.filter((_, at) => at % stride === start % stride)) {
        const seen = await abandon(scenario, n, { back });
        const at = `${scenario.name}, call ${n}`;
        expect(seen.left, at).toEqual([]);
        expect(seen.again, at).toBe(seen.answer);
        expect(seen.found, at).toEqual(seen.after);
      }
    }
  },
);
