import { expect, test } from 'vitest';
import { goneAfterMs } from '../../src/store/nodes.ts';
import type { Driver } from '../../src/service/driver.ts';
import { reclaimAll } from '../../src/service/maintenance.ts';
import { dataFiles, serverOn, tend, type Cluster } from '../support/memory/driver.ts';
import { dropGroup } from '../support/memory/groups.ts';
import { callsOf } from '../support/memory/calls.ts';
import { newWorld, quiet, type Scenario, type World } from '../support/memory/world.ts';
import { scenarios } from '../support/memory/compaction-scenarios.ts';
import { contents, living, problemsIn } from '../support/memory/truth.ts';

/** What the other server does while the first one sleeps. */
type Meanwhile = (world: World, other: Driver, scenario: Scenario) => Promise<void>;

const meanwhiles: Readonly<Record<string, Meanwhile>> = {
  'finishes it': async (world, other, { act }) => {
    await act(other, world);
  },
  'finishes it and deletes what it made': async (world, other, scenario) => {
    await scenario.act(other, world);
    await removeNew(world, other, scenario);
  },
  'finishes it, deletes what it made and makes it again': async (world, other, scenario) => {
    await scenario.act(other, world);
    await removeNew(world, other, scenario);
    await scenario.act(other, world);
  },
};

/** Deletes what the operation made and the world did not have before. */
async function removeNew({ ids, gpfs }: World, other: Driver, { after, unmake }: Scenario) {
  const made = Object.keys(after).filter((name) => !ids.has(name.slice(name.indexOf('/') + 1)));
  if (unmake) await unmake(other);
  else for (const name of made) await removeOne(other, name);
  for (const name of made) expect(living(gpfs).has(name)).toBe(false);
}

async function removeOne(other: Driver, name: string): Promise<void> {
  const [store] = await other.roots.all();
  const [kind = '', local = ''] = name.split('/');
  const id = `${store?.id ?? ''}.${local}`;
  await (kind === 'volumes' ? other.volumes.remove(id) : other.snapshots.remove(id));
}

/** What changed for users when the sleeper woke up, and what was left over. */
async function stallOnce(scenario: Scenario, meanwhile: Meanwhile, n: number) {
  const world = await newWorld({ lateEffects: true });
  const { gpfs, driver } = world;
  const other = serverOn(gpfs.server('b1'), 'b1');
  await scenario.prepare(world);
  await other.roots.all();
  await quiet(gpfs);
  const release = gpfs.stallAt(n);
  const sleeper = scenario.act(driver, world).then(
    (answer) => answer,
    (error: unknown) => String(error),
  );
  await quiet(gpfs);
  gpfs.clock.tick(goneAfterMs + 1);
  await meanwhile(world, other, scenario);
  await quiet(gpfs);
  const before = contents(gpfs);
  const keys = living(gpfs);
  release();
  await sleeper;
  await quiet(gpfs);
  return [...lost(gpfs, before, keys, scenario), ...(await leftAfterAll(world, other))];
}

/** What users had and have no longer as it was; the request that slept may still be served, but once. */
function lost(
  gpfs: Cluster,
  before: Readonly<Record<string, string>>,
  keys: ReadonlyMap<string, string>,
  { after }: Scenario,
): readonly string[] {
  const now = contents(gpfs);
  const files = living(gpfs);
  return [
    ...Object.entries(before)
      .filter(([name, value]) => now[name] !== value || files.get(name) !== keys.get(name))
      .map(([name]) => `${name} changed`),
    ...Object.entries(now)
      .filter(([name, value]) => !(name in before) && after[name] !== value)
      .map(([name]) => `${name} appeared`),
  ];
}

/** What is there once everything was deleted and both servers started again: the orphans. */
async function leftAfterAll({ gpfs, driver }: World, other: Driver): Promise<readonly string[]> {
  await dropGroup(other, 'g');
  for (const { id } of (await other.snapshots.list(noFilter, all)).items)
    await other.snapshots.remove(id);
  for (const { id } of (await other.volumes.list(all)).items) {
    await other.attachments.unpublish(id, '');
    await other.volumes.remove(id);
  }
  for (const server of [driver, other]) {
    await tend(server);
    for (const store of await server.roots.all()) await reclaimAll(server.host, store);
    await tend(server);
  }
  return [...dataFiles(gpfs), ...problemsIn(gpfs)];
}

const noFilter = { id: '', sourceVolumeId: '' };
const all = { max: 0, token: '' };

const cases = scenarios
  // Growing is not taken over from a server that only sleeps (see the unit tests).
  .filter(({ name }) => name !== 'expand a volume')
  .flatMap((scenario) => {
    const makes = /^(create|take|restore|clone)/.test(scenario.name);
    const ways = Object.entries(meanwhiles).slice(0, makes ? undefined : 1);
    return ways.map(([way, meanwhile]) => ({ ...scenario, scenario, way, meanwhile }));
  });

test.each(cases)(
  '$name: while one server sleeps, another $way',
  async ({ scenario, meanwhile }) => {
    const { sleeps } = await callsOf(scenario);
    const left: string[] = [];
    for (const n of sleeps)
      for (const problem of await stallOnce(scenario, meanwhile, n))
        left.push(`call ${n}: ${problem}`);
    expect(left).toEqual([]);
  },
);
