import { describe, expect, test } from 'vitest';
import { isFault } from '../../src/model/fault.ts';
import { serverOn, tend } from '../support/memory/driver.ts';
import { asked } from '../support/memory/scenarios.ts';
import { contents, problemsIn } from '../support/memory/truth.ts';
import { callsOf } from '../support/memory/calls.ts';
import { newWorld, quiet, workOff, type Scenario, type World } from '../support/memory/world.ts';

/** Unmounts GPFS just before the nth call from now, and mounts it again before the call after `calls` more. */
async function unmountAround(
  { gpfs }: World,
  { n, calls }: { readonly n: number; readonly calls: number },
  work: () => Promise<string>,
): Promise<string> {
  const unmount = gpfs.stallAt(n);
  const mount = Number.isFinite(calls) ? gpfs.stallAt(n + calls) : () => undefined;
  const outcome = work().then(
    (answer) => answer,
    (error: unknown) => (isFault(error, 'unavailable') ? 'unavailable' : String(error)),
  );
  await quiet(gpfs);
  gpfs.set({ mounted: false });
  unmount();
  await quiet(gpfs);
  gpfs.set({ mounted: true });
  mount();
  const said = await outcome;
  gpfs.heal();
  return said;
}

/** What is wrong after GPFS was away during a request, and the request was repeated. */
async function awayOnce(scenario: Scenario, n: number, calls: number): Promise<readonly string[]> {
  const world = await newWorld();
  const { gpfs, driver } = world;
  await scenario.prepare(world);
  await quiet(gpfs);
  const said = await unmountAround(world, { n, calls }, () => scenario.act(driver, world));
  gpfs.clock.tick(10_000);
  const found = await scenario.act(driver, world).catch(String);
  await tend(driver);
  await serverOn(gpfs).roots.all();
  if (scenario.compacts) await workOff(world, driver);
  await quiet(gpfs);
  return [
    ...(['unavailable', scenario.answer].includes(said) ? [] : [`said ${said}`]),
    ...(found === scenario.answer ? [] : [`answered ${found}`]),
    ...problemsIn(gpfs),
    ...gpfs.strayPaths().map((path) => `${path} lies below the mount point`),
    ...(JSON.stringify(contents(gpfs)) === JSON.stringify(sorted(scenario.after))
      ? []
      : [`left ${JSON.stringify(contents(gpfs))}`]),
  ];
}

const sorted = (all: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Calls of each request that are tried, spread over it. */
const points = 10;

describe.each(asked)('$name', (scenario) => {
  test.each([
    ['until the request has ended', Infinity],
    ['for one call', 1],
  ])('unmounted %s: UNAVAILABLE or done, never a wrong "does not exist"', async (_, calls) => {
    const { count: all } = await callsOf(scenario);
    expect(all).toBeGreaterThan(0);
    const failed: string[] = [];
    for (let n = 1; n <= all; n += Math.ceil(all / points))
      for (const wrong of await awayOnce(scenario, n, calls)) failed.push(`call ${n}: ${wrong}`);
    expect(failed).toEqual([]);
  });
});
