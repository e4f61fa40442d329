import { expect, test } from 'vitest';
import type { Driver } from '../../src/service/driver.ts';
import { goneAfterMs } from '../../src/store/nodes.ts';
import { block, dataFiles, from, serverOn, snap, spec, tend } from '../support/driver.ts';
import { fencing, imageKey, isMarked } from '../support/fencing.ts';
import { attach, newWorld, quiet } from '../support/scenarios.ts';
import type { Scenario, World } from '../support/scenarios.ts';
import { contents, fileOf, problemsIn, recordsIn } from '../support/truth.ts';

// What controller-crash and controller-stall do not ask: something else is wanted of the volume than that the
// fence goes on, and the node that was to be cut off is alive and writes.

type Next = (driver: Driver, id: string) => Promise<unknown>;

const nexts: Readonly<Record<string, Next>> = {
  'it is unpublished': (driver, id) => driver.attachments.unpublish(id, 'a1'),
  'another node wants it': (driver, id) => driver.attachments.publish(attach(id, 'b1')),
  'the lost node wants it': (driver, id) => driver.attachments.publish(attach(id, 'lost1')),
  'the node wants it otherwise': (driver, id) =>
    driver.attachments.publish(attach(id, 'a1', block('SINGLE_NODE_MULTI_WRITER'))),
  'a snapshot is taken': (driver, id) => driver.snapshots.create(snap('later', { id })),
  'it is cloned': (driver, id) =>
    driver.volumes.create(spec('clone', { source: from('volume', { id }), range: undefined })),
  'it grows': (driver, id) =>
    driver.volumes.expand(id, { requiredBytes: 128n << 20n, limitBytes: 0n }, undefined),
  'it is deleted': async (driver, id) => {
    await driver.attachments.unpublish(id, '');
    await driver.volumes.remove(id);
  },
};

/** A fence that breaks at a call of server a1, the end of that server, and what comes next, on another one. */
async function breakOnce(scenario: Scenario, next: Next, n: number): Promise<readonly string[]> {
  const world = await newWorld();
  const { gpfs, driver } = world;
  const b1 = serverOn(gpfs.server('b1'), 'b1');
  await b1.roots.all();
  await serverOn(gpfs.server('lost1'), 'lost1').roots.all();
  await scenario.prepare(world);
  await quiet(gpfs);
  const old = gpfs.open(fileOf(gpfs, imageKey(gpfs, 'v')));
  const wasFirst = imageKey(gpfs, 'v');
  gpfs.crashAt(n, 'after');
  await Promise.allSettled([scenario.act(driver, world)]);
  await quiet(gpfs);
  gpfs.heal();
  gpfs.clock.tick(goneAfterMs + 1);
  const id = world.ids.get('v') ?? '';
  const told = await next(b1, id).then(() => 'done', String);
  await quiet(gpfs);
  old.write(0, late);
  const wrong = [...wrongNow(world, told, wasFirst), ...(await wrongAfterwards(world, b1, old))];
  return [...new Set(wrong)];
}

const late = 'of the lost node';

/** The first image goes on with what is written to it; a later one has nothing of that. */
function wrongNow(world: World, told: string, first: string): readonly string[] {
  const { gpfs } = world;
  const attached = recordsIn(gpfs, 'volumes').find(({ id }) => id === 'v')?.attachments ?? [];
  const refused = told.includes('attached to node a1') && attached.length > 0;
  if (told !== 'done' && !refused) return [`told ${told}`];
  const now = contents(gpfs)['volumes/v'];
  if (now === undefined) return [];
  const right = (now === late) === (imageKey(gpfs, 'v') === first);
  return [
    ...(right ? [] : [`${imageKey(gpfs, 'v')}, first ${first}, holds ${now}`]),
    ...attached
      .filter(({ node }) => node !== 'lost1' && isMarked(gpfs, 'v'))
      .map(({ node }) => `attached to ${node} beside the lost node`),
  ];
}

/** All goes, and so does the lost node: nothing is left. */
async function wrongAfterwards(
  { gpfs }: World,
  b1: Driver,
  old: { close(): void },
): Promise<readonly string[]> {
  old.close();
  const a1 = serverOn(gpfs);
  for (const server of [a1, b1]) await tend(server);
  await quiet(gpfs);
  const problems = problemsIn(gpfs);
  for (const { id } of (await a1.snapshots.list({ id: '', sourceVolumeId: '' }, all)).items)
    await a1.snapshots.remove(id);
  for (const { id } of (await a1.volumes.list(all)).items) {
    await a1.attachments.unpublish(id, '');
    await a1.volumes.remove(id);
  }
  for (const server of [a1, b1, a1]) await tend(server);
  await quiet(gpfs);
  return [...problems, ...problemsIn(gpfs), ...dataFiles(gpfs)];
}

const all = { max: 0, token: '' };

// Below a snapshot and with attributes: all that a fence can do.
const [, scenario] = fencing;

test.each(Object.entries(nexts))('after a crash in a fence: %s', async (_, next) => {
  if (!scenario) throw new Error('there is no such scenario');
  const world = await newWorld();
  await scenario.prepare(world);
  await quiet(world.gpfs);
  const before = world.gpfs.calls;
  await scenario.act(world.driver, world);
  const calls = world.gpfs.calls - before;
  expect(calls).toBeGreaterThan(60);
  const failed: string[] = [];
  for (let n = 1; n <= calls; n++)
    for (const wrong of await breakOnce(scenario, next, n)) failed.push(`call ${n}: ${wrong}`);
  expect(failed).toEqual([]);
});
