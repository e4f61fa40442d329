import { basename } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Driver } from '../../src/service/driver.ts';
import { sweepMs, sweepRoot } from '../../src/service/maintenance.ts';
import { dataFiles, tend, testRoot, type Cluster } from '../support/memory/driver.ts';
import type { Inode } from '../../src/simulator/core/ground.ts';
import { quiet, workOff, type World } from '../support/memory/world.ts';
import {
  anyStep,
  blockCount,
  contentsOf,
  expectOutcome,
  type Step,
} from '../support/model/tree-model.ts';
import { expectSound, living, recordsIn } from '../support/memory/truth.ts';
import {
  anySetting,
  newPlay,
  perform,
  type Setting,
  type Play,
} from '../support/model/clone-tree-play.ts';

/** What each object reads, block by block; the paths are listed once, because this is asked after each step. */
function contents(gpfs: Cluster): Readonly<Record<string, string>> {
  const paths = new Map(dataFiles(gpfs).map((path) => [basename(path), path]));
  const blocks = Array.from({ length: blockCount }, (_, block) => block);
  const read = (key: string): string =>
    blocks
      .map((block) => gpfs.readBlock(`${testRoot}/${paths.get(key) ?? key}`, block) ?? '')
      .join('|');
  const all = [...living(gpfs)].map(([name, key]) => [name, read(key)] as const);
  return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Nothing is on the queue any more but what waits for a detach. */
async function expectWorkedOff({ servers, setting }: Play): Promise<void> {
  const [store] = await servers[0].roots.all();
  expect(await store?.queue.ready()).toEqual([]);
  for (const { why } of (await store?.queue.waiting())?.values() ?? [])
    expect([setting.attached, why]).toEqual(['never', expect.stringMatching(/^attached to node/)]);
}

/** No volume that may be compacted is deeper than its class allows. */
function expectShallow({ gpfs, setting }: Play): void {
  const attached = recordsIn(gpfs, 'volumes').some(({ attachments }) => attachments?.length);
  if (attached && setting.attached === 'never') return;
  const most = Number(setting.maxCloneDepth);
  const tree = gpfs.tree();
  // What mmclone shows as Depth goes stale when an ancestor is redirected.
  const depthOf = (parent: Inode | undefined): number =>
    parent === undefined ? 0 : 1 + depthOf(tree.get(parent)?.parent);
  for (const { parent, path, isParent } of tree.values())
    if (!isParent && most > 0)
      expect([path, depthOf(parent)]).toEqual([path, Math.min(depthOf(parent), most)]);
}

async function expectListed({ servers, model }: Play): Promise<void> {
  const all = { max: 0, token: '' };
  const sizes = (items: readonly { id: string; bytes: bigint }[]) =>
    new Map(items.map(({ id, bytes }) => [id.slice(9), Number(bytes >> 20n)]));
  const wanted = (items: ReadonlyMap<string, { mebibytes: number }>) =>
    new Map([...items].map(([name, { mebibytes }]) => [name, mebibytes]));
  for (const driver of servers) {
    expect(sizes((await driver.volumes.list(all)).items)).toEqual(wanted(model.volumes));
    const listed = await driver.snapshots.list({ id: '', sourceVolumeId: '' }, all);
    expect(sizes(listed.items)).toEqual(wanted(model.snapshots));
  }
}

async function playOnce(setting: Setting, steps: readonly Step[]): Promise<void> {
  const play = await newPlay(setting);
  const { gpfs, model, servers } = play;
  for (const step of [...beginning, ...steps]) {
    const wanted = expectOutcome[step.action](model, step);
    expect([step, await perform(play, step)]).toEqual([step, wanted]);
    expect([step, contents(gpfs)]).toEqual([step, contentsOf(model)]);
  }
  const world = { gpfs, driver: servers[0], ids: new Map<string, string>() };
  await workOff(world, ...servers);
  // What a server could not even put on the queue is lost when it dies, until the next sweep.
  if (steps.some(({ breaks, dies }) => breaks > 0 && dies)) await sweepAndWorkOff(world, servers);
  await quiet(gpfs);
  expectSound(gpfs);
  expect(contents(gpfs)).toEqual(contentsOf(model));
  await expectWorkedOff(play);
  expectShallow(play);
  await expectListed(play);
  for (const command of ['snap', 'copy', 'redirect'])
    seen.set(
      command,
      (seen.get(command) ?? 0) + (gpfs.total.commands.get(`mmclone ${command}`) ?? 0),
    );
}

async function sweepAndWorkOff(world: World, servers: readonly Driver[]): Promise<void> {
  world.gpfs.clock.tick(sweepMs);
  for (const server of servers) {
    await tend(server);
    for (const store of await server.roots.all()) await sweepRoot(server.host, store);
  }
  await workOff(world, ...servers);
}

/** So that there is something to do for the first steps. */
const beginning: readonly Step[] = ['v1', 'v2'].map((name) => ({
  action: 'create',
  name,
  of: '',
  block: 0,
  node: 'a1',
  server: 0,
  breaks: 0,
  when: 'before',
  dies: false,
}));

/** What all sequences together made GPFS do: a property over nothing would hold as well. */
const seen = new Map<string, number>();

/** `npm run test:soak` makes many more. */
const runs = Number(process.env['RUNS'] ?? 500);

test(
  'whatever is asked of two servers in whatever order, and whatever breaks, every object reads what it should',
  async () => {
    const upTo = (maxLength: number) => fc.array(anyStep, { minLength: 1, maxLength, size: 'max' });
    const steps = fc.oneof({ arbitrary: upTo(25), weight: 4 }, { arbitrary: upTo(100), weight: 1 });
    await fc.assert(fc.asyncProperty(anySetting, steps, playOnce), {
      numRuns: runs,
    });
    if (process.env['RUNS'])
      process.stdout.write(`${runs} sequences: ${JSON.stringify([...seen])}\n`);
    expect(seen.get('redirect')).toBeGreaterThan(runs / 4);
  },
  Math.max(600_000, runs * 1_000),
);

test('a volume too deep that its server could not announce before it died is found by the sweep', async () => {
  const step = { name: 'v1', of: '', block: 0, node: 'a1', server: 0, when: 'before' } as const;
  const none = { ...step, breaks: 0, dies: false } as const;
  // One of these calls is the one that puts the volume on the queue.
  for (let breaks = 1; breaks <= 60; breaks++)
    await playOnce(
      { redirectParent: false, deleteWindowMs: 0, attached: 'auto', maxCloneDepth: '1' },
      [
        { ...none, action: 'create', name: 'v3', of: 'v1' },
        { ...none, action: 'cut', breaks },
        { ...none, action: 'create', breaks: 1, dies: true },
        { ...none, action: 'create' },
      ],
    );
});
