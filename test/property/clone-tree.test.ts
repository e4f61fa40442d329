import { basename } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DriverError } from '../../src/model/fault.ts';
import type { FileKey } from '../../src/model/ids.ts';
import type { Driver } from '../../src/service/driver.ts';
import type { CompactionOptions } from '../../src/service/host.ts';
import { sweepMs, sweepRoot } from '../../src/service/maintenance.ts';
import { goneAfterMs } from '../../src/store/nodes.ts';
import type { Inode } from '../../src/simulator/core/ground.ts';
import type { Personality } from '../../src/simulator/core/personality.ts';
import {
  clusterWithRoot,
  dataFiles,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
  tend,
  type Cluster,
} from '../support/memory/driver.ts';
import { allow, attach, quiet, workOff, type World } from '../support/memory/world.ts';
import {
  anyStep,
  blockCount,
  contentsOf,
  cutOf,
  expectTold,
  isCut,
  type Model,
  type Step,
  type Told,
} from '../support/model/tree-model.ts';
import { expectSound, fileOf, living, recordsIn } from '../support/memory/truth.ts';

/** How the GPFS of one sequence behaves, and how its drivers are configured. */
interface Setting {
  readonly redirectParent: boolean;
  readonly deleteWindowMs: number;
  readonly attached: CompactionOptions['attached'];
  readonly maxCloneDepth: string;
}

const anySetting: fc.Arbitrary<Setting> = fc.record({
  redirectParent: fc.boolean(),
  deleteWindowMs: fc.constantFrom(0, 0, 500),
  attached: fc.constantFrom('auto' as const, 'never' as const),
  maxCloneDepth: fc.constantFrom('0', '0', '1', '2'),
});

/** Two servers of one cluster, each of which may die and start again. */
interface Play {
  readonly gpfs: Cluster;
  readonly setting: Setting;
  readonly servers: [Driver, Driver];
  readonly root: string;
  readonly model: Model;
}

const nodes = ['a1', 'b1'] as const;

const start = (gpfs: Cluster, setting: Setting, which: 0 | 1): Driver =>
  serverOn(gpfs.server(nodes[which]), nodes[which], {
    compaction: { attached: setting.attached },
  });

async function newPlay(setting: Setting): Promise<Play> {
  const { redirectParent, deleteWindowMs } = setting;
  const personality: Partial<Personality> = { redirectParent, deleteWindowMs };
  const gpfs = await clusterWithRoot({ personality });
  const servers: [Driver, Driver] = [start(gpfs, setting, 0), start(gpfs, setting, 1)];
  const [store] = await servers[0].roots.all();
  await servers[1].roots.all();
  await allow({ driver: servers[0] }, { redirectParent, redirectAttached: true });
  await quiet(gpfs);
  const model = { volumes: new Map(), snapshots: new Map() };
  return { gpfs, setting, servers, root: store?.id ?? '', model };
}

function ask(play: Play, driver: Driver, step: Step): Promise<unknown> {
  const id = `${play.root}.${step.name}`;
  switch (step.action) {
    case 'create':
      return driver.volumes.create(specOf(play, step));
    case 'remove':
      return driver.volumes.remove(id);
    case 'cut':
      return driver.snapshots.create(snap(cutOf(step), { id }));
    case 'uncut':
      return driver.snapshots.remove(`${play.root}.${cutOf(step)}`);
    case 'grow':
      return driver.volumes.expand(id, grown(play, step), undefined);
    case 'write':
      return write(play, driver, step);
    case 'attach':
      return driver.attachments.publish(attach(id, step.node));
    case 'detach':
      return driver.attachments.unpublish(id, '');
    case 'move':
      return move(play, driver, step);
    case 'work':
      return driver.worker.round();
  }
}

const specOf = ({ root, setting }: Play, { name, of }: Step) => {
  const parameters = { maxCloneDepth: setting.maxCloneDepth };
  if (of === '') return spec(name, { parameters });
  const source = from(isCut(of) ? 'snapshot' : 'volume', { id: `${root}.${of}` });
  return spec(name, { source, range: undefined, parameters });
};

const grown = ({ model }: Play, { name }: Step) => ({
  requiredBytes: BigInt(model.volumes.get(name)?.mebibytes ?? 0) << 20n,
  limitBytes: 0n,
});

/** What the node writes that has the volume; the model knows it already. A volume that no node has is attached first. */
async function write({ gpfs, model, root }: Play, driver: Driver, { name, block }: Step) {
  const volume = model.volumes.get(name);
  await driver.attachments.publish(attach(`${root}.${name}`, volume?.node));
  if (!volume) return;
  const path = fileOf(gpfs, living(gpfs).get(`volumes/${name}`) ?? '');
  gpfs.write(path, block, volume.blocks.get(block) ?? '');
}

/** Whatever node has the volume is lost, with its mark on the image; another one gets it. */
async function move({ gpfs, root }: Play, driver: Driver, { name, node }: Step) {
  const id = `${root}.${name}`;
  await driver.attachments.unpublish(id, '');
  const [store] = await driver.roots.all();
  const key = living(gpfs).get(`volumes/${name}`);
  const lost = { ...driver.host.self, node: 'lost1' };
  if (key !== undefined) await store?.marks.set(key as FileKey, lost);
  await driver.attachments.publish(attach(id, node));
}

const told = (work: Promise<unknown>): Promise<Told> =>
  work.then(
    () => 'ok',
    (error: unknown) => {
      if (error instanceof DriverError) return error.fault.kind;
      throw error;
    },
  );

/** Asks until the answer is not that the object is busy: what a caller does. What counts is the last answer. */
async function perform(play: Play, step: Step): Promise<Told> {
  const { gpfs, servers, setting } = play;
  const view = gpfs.server(nodes[step.server]);
  if (step.breaks > 0) {
    if (step.dies) view.crashAt(step.breaks, step.when);
    else view.failAt(step.breaks, step.when);
    await Promise.allSettled([ask(play, servers[step.server], step)]);
    await quiet(gpfs);
    const died = view.crashed;
    view.heal();
    if (died) {
      servers[step.server] = start(gpfs, setting, step.server);
      await servers[step.server].roots.all();
      await quiet(gpfs);
    }
  }
  let answer = await told(ask(play, servers[step.server], step));
  for (let again = 0; answer === 'busy' && again < 3; again++) {
    await quiet(gpfs);
    gpfs.clock.tick(goneAfterMs + 1);
    for (const server of servers) await server.host.claims.retry();
    answer = await told(ask(play, servers[step.server], step));
  }
  return answer;
}

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
    const wanted = expectTold[step.action](model, step);
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

const runs = Number(process.env['RUNS'] ?? 2_000);

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
