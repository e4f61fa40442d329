import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DriverError } from '../../src/model/fault.ts';
import type { Driver } from '../../src/service/driver.ts';
import type { When } from '../../src/simulator/faults.ts';
import { from, snap, spec, tend } from '../support/driver.ts';
import type { Cluster } from '../support/driver.ts';
import { attach, newWorld, quiet } from '../support/scenarios.ts';
import type { World } from '../support/scenarios.ts';
import { contents, expectSound, recordsIn, writeVolume } from '../support/truth.ts';

interface ModelVolume {
  text: string;
  mebibytes: number;
  source: string;
  node: string;
}

/** What the controller should remember, without files, records or failures. */
interface Model {
  readonly volumes: Map<string, ModelVolume>;
  readonly snapshots: Map<string, { text: string; mebibytes: number; of: string }>;
}

interface Step {
  readonly action: 'create' | 'remove' | 'cut' | 'uncut' | 'grow' | 'write' | 'attach' | 'detach';
  readonly name: string;
  readonly of: string;
  readonly node: string;
  /** The call that fails, counted from the beginning of the step; 0 for none. */
  readonly breaks: number;
  readonly when: When;
}

const names = ['v1', 'v2', 'v3'];
const cuts = ['s1', 's2'];

const step: fc.Arbitrary<Step> = fc.record({
  action: fc.constantFrom(
    ...(['create', 'create', 'create', 'remove', 'cut', 'cut', 'uncut'] as const),
    ...(['grow', 'write', 'write', 'attach', 'detach'] as const),
  ),
  name: fc.constantFrom(...names),
  of: fc.constantFrom('', ...names, ...cuts),
  node: fc.constantFrom('a1', 'a2'),
  breaks: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 90 })),
  when: fc.constantFrom('before' as const, 'after' as const),
});

/** What a caller is told: `ok`, or the kind of the fault. */
type Told = string;

type Expected = (model: Model, each: Step) => Told;

/** What a step on a volume does to the model, where that volume is there. */
const onVolume =
  (change: (volume: ModelVolume, each: Step, model: Model) => Told): Expected =>
  (model, each) => {
    const volume = model.volumes.get(each.name);
    return volume ? change(volume, each, model) : 'volume-missing';
  };

/** Does to the model what a step asks for. */
const expectTold: Readonly<Record<Step['action'], Expected>> = {
  create: (model, each) => expectCreated(model, each),
  remove: ({ volumes }, { name }) => {
    if ((volumes.get(name)?.node ?? '') !== '') return 'in-use';
    volumes.delete(name);
    return 'ok';
  },
  cut: (model, each) => {
    const there = model.snapshots.get(cutOf(each));
    if (there) return there.of === each.name ? 'ok' : 'name-taken';
    return expectCut(model, each);
  },
  uncut: ({ snapshots }, each) => {
    snapshots.delete(cutOf(each));
    return 'ok';
  },
  grow: onVolume((volume) => {
    volume.mebibytes += 1;
    return 'ok';
  }),
  write: ({ volumes }, { name }) => {
    const volume = volumes.get(name);
    if (volume && volume.node !== '') volume.text += '!';
    return 'ok';
  },
  attach: onVolume((volume, { node }) => {
    if (node === 'a2') return 'node-missing';
    volume.node = node;
    return 'ok';
  }),
  detach: ({ volumes }, { name }) => {
    const volume = volumes.get(name);
    if (volume) volume.node = '';
    return 'ok';
  },
};

const expectCut = onVolume(({ text, mebibytes }, each, { snapshots }) => {
  snapshots.set(cutOf(each), { text, mebibytes, of: each.name });
  return 'ok';
});

/** The snapshot that a step is about. */
const cutOf = ({ of }: Step): string => (cuts.includes(of) ? of : 's1');

function expectCreated({ volumes, snapshots }: Model, { name, of }: Step): Told {
  const there = volumes.get(name);
  if (there) return there.source === of && there.mebibytes >= 64 ? 'ok' : 'name-taken';
  if (of === '') {
    volumes.set(name, { text: '', mebibytes: 64, source: '', node: '' });
    return 'ok';
  }
  const source = cuts.includes(of) ? snapshots.get(of) : volumes.get(of);
  if (!source) return cuts.includes(of) ? 'snapshot-missing' : 'volume-missing';
  volumes.set(name, { text: source.text, mebibytes: source.mebibytes, source: of, node: '' });
  return 'ok';
}

function perform(world: World, root: string, each: Step, model: Model): Promise<unknown> {
  const { driver, gpfs } = world;
  const { action, name, of, node } = each;
  const id = (local: string) => ({ id: `${root}.${local}` });
  const mebibytes = model.volumes.get(name)?.mebibytes ?? 0;
  switch (action) {
    case 'create':
      return driver.volumes.create(specOf(root, name, of));
    case 'remove':
      return driver.volumes.remove(id(name).id);
    case 'cut':
      return driver.snapshots.create(snap(cutOf(each), id(name)));
    case 'uncut':
      return driver.snapshots.remove(id(cutOf(each)).id);
    case 'grow':
      return driver.volumes.expand(id(name).id, grown(mebibytes), undefined);
    case 'write':
      return writeAs(gpfs, name, model.volumes.get(name));
    case 'attach':
      return driver.attachments.publish(attach(id(name).id, node));
    case 'detach':
      return driver.attachments.unpublish(id(name).id, node === 'a1' ? 'a1' : '');
  }
}

const specOf = (root: string, name: string, of: string) => {
  if (of === '') return spec(name);
  const source = from(cuts.includes(of) ? 'snapshot' : 'volume', { id: `${root}.${of}` });
  return spec(name, { source, range: undefined });
};

/** What the node writes that has the volume. */
function writeAs(gpfs: Cluster, name: string, volume: ModelVolume | undefined): Promise<unknown> {
  if (volume && volume.node !== '') writeVolume(gpfs, name, volume.text);
  return Promise.resolve();
}

const grown = (mebibytes: number) => ({
  requiredBytes: BigInt(mebibytes) << 20n,
  limitBytes: 0n,
});

const told = (work: Promise<unknown>): Promise<Told> =>
  work.then(
    () => 'ok',
    (error: unknown) => {
      if (error instanceof DriverError) return error.fault.kind;
      throw error;
    },
  );

/** Performs a step that may break, and once more when it did; what counts is what the caller is told last. */
async function performBroken(world: World, root: string, each: Step, model: Model): Promise<Told> {
  const { gpfs } = world;
  if (each.breaks > 0) {
    gpfs.failAt(each.breaks, each.when);
    await Promise.allSettled([perform(world, root, each, model)]);
    await quiet(gpfs);
    gpfs.heal();
  }
  return told(perform(world, root, each, model));
}

function expectLike({ gpfs }: World, { volumes, snapshots }: Model): void {
  expect(contents(gpfs)).toEqual(
    Object.fromEntries([
      ...[...volumes].map(([name, { text }]) => [`volumes/${name}`, text]),
      ...[...snapshots].map(([name, { text }]) => [`snapshots/${name}`, text]),
    ]),
  );
  const attached = recordsIn(gpfs, 'volumes').flatMap(({ state, id, attachments }) =>
    state === 'ready' ? [[id, attachments?.map(({ node }) => node).join() ?? '']] : [],
  );
  expect(new Map(attached as [string, string][])).toEqual(
    new Map([...volumes].map(([name, { node }]) => [name, node])),
  );
}

async function expectListed(driver: Driver, { volumes, snapshots }: Model): Promise<void> {
  const all = { max: 0, token: '' };
  const sizes = (items: readonly { id: string; bytes: bigint }[]) =>
    new Map(items.map(({ id, bytes }) => [id.slice(9), Number(bytes >> 20n)]));
  const wanted = (items: ReadonlyMap<string, { mebibytes: number }>) =>
    new Map([...items].map(([name, { mebibytes }]) => [name, mebibytes]));
  expect(sizes((await driver.volumes.list(all)).items)).toEqual(wanted(volumes));
  const listed = await driver.snapshots.list({ id: '', sourceVolumeId: '' }, all);
  expect(sizes(listed.items)).toEqual(wanted(snapshots));
}

test('whatever fails on the way, a request that is repeated does what it should, once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
      const world = await newWorld();
      const [store] = await world.driver.roots.all();
      const model: Model = { volumes: new Map(), snapshots: new Map() };
      for (const each of steps) {
        const wanted = expectTold[each.action](model, each);
        expect([each, await performBroken(world, store?.id ?? '', each, model)]).toEqual([
          each,
          wanted,
        ]);
      }
      await tend(world.driver);
      await tend(world.driver);
      expectSound(world.gpfs);
      expectLike(world, model);
      await expectListed(world.driver, model);
    }),
    { numRuns: Number(process.env['RUNS'] ?? 200) },
  );
});
