import { expect, test } from 'vitest';
import type { Driver } from '../../src/service/driver.ts';
import { reclaimAll } from '../../src/service/maintenance.ts';
import { goneAfterMs } from '../../src/store/nodes.ts';
import { block, dataFiles, from, serverOn, snap, spec, tend } from '../support/memory/driver.ts';
import { fencingWithAll as scenario, imageKey, isMarked } from '../support/memory/fencing.ts';
import { callsIn, type Hear } from '../support/memory/calls.ts';
import { attach, newWorld, quiet, type World } from '../support/memory/world.ts';
import { contents, fileOf, living, problemsIn, recordsIn } from '../support/memory/truth.ts';

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

/** A server that is at work on the fence, and one that gets to see what it left. */
interface Site {
  readonly world: World;
  readonly b1: Driver;
  /** The image that the lost node has open. */
  readonly old: ReturnType<World['gpfs']['open']>;
  readonly first: string;
}

async function newSite(hear?: Hear): Promise<Site> {
  const world = await newWorld({}, hear);
  const { gpfs } = world;
  const b1 = serverOn(gpfs.server('b1'), 'b1');
  await b1.roots.all();
  await serverOn(gpfs.server('lost1'), 'lost1').roots.all();
  await scenario.prepare(world);
  await quiet(gpfs);
  const first = imageKey(gpfs, 'v');
  return { world, b1, old: gpfs.open(fileOf(gpfs, first)), first };
}

/** A fence that breaks at a call of server a1, the end of that server, and what comes next, on another one. */
async function crashOnce(next: Next, n: number): Promise<readonly string[]> {
  const site = await newSite();
  const { world, b1, old } = site;
  const { gpfs } = world;
  gpfs.crashAt(n, 'after');
  await Promise.allSettled([scenario.act(world.driver, world)]);
  await quiet(gpfs);
  gpfs.heal();
  gpfs.clock.tick(goneAfterMs + 1);
  const told = await tell(next, b1, world);
  old.write(0, late);
  const wrong = wrongNow(site, told);
  old.close();
  const a1 = serverOn(gpfs);
  for (const server of [a1, b1]) await tend(server);
  await quiet(gpfs);
  return [...wrong, ...problemsIn(gpfs), ...(await leftAfterAll(world, a1, b1))];
}

/** The same, but the server only sleeps there, and wakes up when the other one has done what came next. */
async function stallOnce(next: Next, n: number): Promise<readonly string[]> {
  const site = await newSite();
  const { world, b1, old } = site;
  const { gpfs, driver } = world;
  const release = gpfs.stallAt(n);
  const sleeper = Promise.allSettled([scenario.act(driver, world)]);
  await quiet(gpfs);
  gpfs.clock.tick(goneAfterMs + 1);
  const told = await tell(next, b1, world);
  const before = living(gpfs);
  release();
  const [slept] = await sleeper;
  await quiet(gpfs);
  old.write(0, late);
  const now = living(gpfs);
  // One that slept before it claimed anything may still fence, and then it says so.
  const served = slept.status === 'fulfilled';
  const lost = [...before].filter(([name, key]) => !served && now.get(name) !== key);
  const wrong = [...wrongNow(site, told), ...lost.map(([name]) => `${name} is another file`)];
  old.close();
  return [...wrong, ...(await leftAfterAll(world, driver, b1))];
}

async function tell(next: Next, driver: Driver, { gpfs, ids }: World): Promise<string> {
  const told = await next(driver, ids.get('v') ?? '').then(() => 'done', String);
  await quiet(gpfs);
  return told;
}

const late = 'of the lost node';

/** The first image goes on with what is written to it; a later one has nothing of that. */
function wrongNow({ world: { gpfs }, first }: Site, told: string): readonly string[] {
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

/** What is there when all was deleted and the servers have looked after it. */
async function leftAfterAll({ gpfs }: World, a1: Driver, b1: Driver): Promise<readonly string[]> {
  for (const { id } of (await b1.snapshots.list({ id: '', sourceVolumeId: '' }, all)).items)
    await b1.snapshots.remove(id);
  for (const { id } of (await b1.volumes.list(all)).items) {
    await b1.attachments.unpublish(id, '');
    await b1.volumes.remove(id);
  }
  for (const server of [a1, b1]) {
    await tend(server);
    for (const store of await server.roots.all()) await reclaimAll(server.host, store);
    await tend(server);
  }
  await quiet(gpfs);
  return [...problemsIn(gpfs), ...dataFiles(gpfs)];
}

const all = { max: 0, token: '' };

const callsOfFence = () =>
  callsIn(
    async (hear) => (await newSite(hear)).world,
    async (world) => {
      expect(await scenario.act(world.driver, world)).toBe(scenario.answer);
    },
  );

const ways = { crash: crashOnce, stall: stallOnce };
const cases = (['crash', 'stall'] as const).flatMap((way) =>
  Object.entries(nexts).map(([what, next]) => ({ way, what, next })),
);

test.each(cases)('after a $way in a fence $what', async ({ way, next }) => {
  const { sleeps, changing } = await callsOfFence();
  expect(changing.length).toBeGreaterThan(20);
  // A crash leaves what the last change left; one that sleeps has read something before each of its calls.
  const failed: string[] = [];
  for (const n of way === 'crash' ? changing : sleeps)
    for (const wrong of await ways[way](next, n)) failed.push(`call ${n}: ${wrong}`);
  expect(failed).toEqual([]);
});
