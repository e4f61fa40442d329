import { describe, expect, test } from 'vitest';
import type { Driver } from '../../src/service/driver.ts';
import type { When } from '../../src/simulator/core/faults.ts';
import { goneAfterMs } from '../../src/store/nodes.ts';
import { serverOn, tend } from '../support/memory/driver.ts';
import { callsOf, crashes, upTo, type Calls } from '../support/memory/calls.ts';
import { newWorld, quiet, workOff, type Scenario, type World } from '../support/memory/world.ts';
import { scenarios } from '../support/memory/compaction-scenarios.ts';
import { contents, problemsIn, recordsIn } from '../support/memory/truth.ts';

/** Breaks the world at a call of server a1 and says who repeats the request. */
type Recovery = (
  world: World,
  breakAndAct: (how: 'failAt' | 'crashAt') => Promise<void>,
) => Promise<Driver>;

const other = async ({ gpfs }: World): Promise<Driver> => {
  const driver = serverOn(gpfs.server('b1'), 'b1');
  await driver.roots.all();
  await quiet(gpfs);
  return driver;
};

const sameServer = 'an error, and the same server is asked again';
const otherServer = 'an error, and another server is asked';
const startsAgain = 'a crash, and the server starts again';

const recoveries: Readonly<Record<string, Recovery>> = {
  [sameServer]: async (world, breakAndAct) => {
    await breakAndAct('failAt');
    return world.driver;
  },
  [otherServer]: async (world, breakAndAct) => {
    const driver = await other(world);
    await breakAndAct('failAt');
    await tend(world.driver);
    return driver;
  },
  [startsAgain]: async (world, breakAndAct) => {
    await breakAndAct('crashAt');
    return serverOn(world.gpfs);
  },
  'a crash, and another server goes on once the first is gone': async (world, breakAndAct) => {
    const driver = await other(world);
    await breakAndAct('crashAt');
    world.gpfs.clock.tick(goneAfterMs + 1);
    return driver;
  },
};

/** What is wrong after a request was broken at one call and repeated; empty when it converged. */
async function breakOnce(
  scenario: Scenario,
  recover: Recovery,
  n: number,
  when: When,
): Promise<readonly string[]> {
  const world = await newWorld();
  const { gpfs, driver } = world;
  await scenario.prepare(world);
  await quiet(gpfs);
  const seen = { crashed: false };
  const next = await recover(world, async (how) => {
    seen.crashed = how === 'crashAt';
    gpfs[how](n, when);
    await Promise.allSettled([scenario.act(driver, world)]);
    await quiet(gpfs);
    gpfs.heal();
  });
  // Growing is not taken over from a server that may only be slow: it must have started again.
  if (scenario.name === 'expand a volume') await serverOn(gpfs).roots.all();
  const found = await scenario.act(next, world).catch(String);
  await quiet(gpfs);
  await tend(next);
  await tend(driver);
  // When a server starts it looks at what a crash left of clone parents; here the one that crashed.
  if (seen.crashed) await serverOn(gpfs).roots.all();
  if (scenario.compacts) await workOff(world, next, driver);
  await quiet(gpfs);
  const dead = scenario.compacts ? recordsIn(gpfs, 'hidden') : [];
  const left = JSON.stringify(contents(gpfs));
  return [
    ...problemsIn(gpfs),
    ...dead.map(({ id }) => `${id} was not compacted`),
    ...(found === scenario.answer ? [] : [`answered ${found}`]),
    ...(left === JSON.stringify(sorted(scenario.after)) ? [] : [`left ${left}`]),
  ];
}

const sorted = (all: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));

const after = (n: number): readonly [number, When] => [n, 'after'];

/** `npm run test:soak` tries each recovery at each point. */
const isSoak = process.env['RUNS'] !== undefined;

/** One of so many, beginning with the first or a later one; in a soak all of them. */
const oneOf = (every: number, first = 0) =>
  function isTried(_: unknown, at: number): boolean {
    return isSoak || at % every === first;
  };

/**
 * Where a request can break. An error counts at every call; before it and after it differ only where the call changes
 * something, and for the server that gets the error, since others see what is in the root. A crash leaves what the last
 * change left, and the two recoveries from one differ only in who continues: they take turns.
 */
function points(
  recovery: string,
  { count, changing }: Calls,
): readonly (readonly [number, When])[] {
  if (recovery === sameServer)
    return [...upTo(count).map((n) => [n, 'before'] as const), ...changing.map(after)];
  if (recovery === otherServer) {
    const reads = upTo(count).filter((n) => !changing.includes(n));
    return [[1, 'before'], ...[...reads.filter(oneOf(3)), ...changing].map(after)];
  }
  return crashes(changing.filter(oneOf(2, recovery === startsAgain ? 0 : 1)));
}

describe.each(scenarios)('$name', (scenario) => {
  test.each(Object.entries(recoveries))('%s', async (recovery, recover) => {
    const calls = await callsOf(scenario);
    expect(calls.changing.length).toBeGreaterThan(0);
    const failed: string[] = [];
    for (const [n, when] of points(recovery, calls))
      for (const wrong of await breakOnce(scenario, recover, n, when))
        failed.push(`${when} call ${n}: ${wrong}`);
    expect(failed).toEqual([]);
  });
});
