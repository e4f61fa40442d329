import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFault } from '../../src/model/fault.ts';
import type { FileKey } from '../../src/model/ids.ts';
import type { Driver } from '../../src/service/driver.ts';
import {
  clusterWithRoot,
  dataFiles,
  from,
  serverOn,
  snap,
  spec,
  tend,
  type Cluster,
} from '../support/memory/driver.ts';
import { attach, quiet } from '../support/memory/world.ts';
import {
  expectSound,
  fileOf,
  living,
  recordsIn,
  type SeenRecord,
} from '../support/memory/truth.ts';

type Action =
  | { readonly do: 'create' | 'remove' | 'cut' | 'uncut' | 'unpublish'; readonly name: string }
  | { readonly do: 'clone' | 'restore'; readonly name: string; readonly of: string }
  | { readonly do: 'publish' | 'mark'; readonly name: string; readonly node: string }
  | { readonly do: 'expand' | 'write'; readonly name: string };

/** The volume that all begins with; what is made from it is called after it. */
const base = 'base';
const volumes = [base, 'clone1', 'clone2', 'clone3', 'restored1', 'empty1'];
const cuts = ['cut1', 'cut2'];
const one = (names: readonly string[]) => fc.constantFrom(...names);

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('create' as const), name: one(['empty1']) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('clone' as const),
      name: one(['clone1', 'clone2']),
      of: one([base]),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('clone' as const),
      name: one(['clone3']),
      of: one(['clone1']),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('restore' as const),
      name: one(['restored1']),
      of: one(['cut1']),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('cut' as const), name: one(cuts) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('uncut' as const), name: one(cuts) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), name: one(volumes) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      name: one([base]),
      node: one(['a1', 'b1']),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('mark' as const),
      name: one([base]),
      node: one(['a1', 'b1', 'c1']),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('unpublish', 'write', 'expand'),
      name: one([base]),
    }),
  },
);

/** One root, two servers, and how often each thing was asked for. */
interface Race {
  readonly gpfs: Cluster;
  readonly root: string;
  /** What a node wrote last to the base volume. */
  written: number;
  readonly spans: Map<string, { from: number; asked: number; to: number }>;
}

async function perform(race: Race, driver: Driver, what: Action): Promise<unknown> {
  const id = (name: string) => ({ id: `${race.root}.${name}` });
  const { name } = what;
  switch (what.do) {
    case 'create':
      return driver.volumes.create(spec(name));
    case 'clone':
      return made(race, what.of === base ? name : '', () =>
        driver.volumes.create(
          spec(name, { source: from('volume', id(what.of)), range: undefined }),
        ),
      );
    case 'restore':
      return driver.volumes.create(
        spec(name, { source: from('snapshot', id(what.of)), range: undefined }),
      );
    case 'cut':
      return made(race, name, () => driver.snapshots.create(snap(name, id(base))));
    case 'uncut':
      return driver.snapshots.remove(id(name).id);
    case 'remove':
      return driver.volumes.remove(id(name).id);
    case 'publish':
      return driver.attachments.publish(attach(id(name).id, what.node));
    case 'mark':
      return markBase(race, driver, what.node);
    case 'unpublish':
      return driver.attachments.unpublish(id(name).id, '');
    case 'expand':
      return driver.volumes.expand(id(name).id, larger, undefined);
    case 'write': {
      writeBase(race);
      return;
    }
  }
}

const larger = { requiredBytes: 128n << 20n, limitBytes: 0n };

/** A node leaves its mark on the image, as one that stages it, so that the next one cuts it off. */
async function markBase({ gpfs }: Race, { host }: Driver, node: string): Promise<void> {
  const record = recordsIn(gpfs, 'volumes').find(({ id }) => id === base);
  if (record?.state !== 'ready' || !record.image) return;
  const [store] = await host.roots.all();
  const self = { ...host.self, node, machineId: `machine-${node}` };
  await store?.marks.set(record.image.key as FileKey, self);
}

/** Only a node that has the volume attached, and may use it by now, writes. */
function writeBase(race: Race): void {
  const record = recordsIn(race.gpfs, 'volumes').find(({ id }) => id === base);
  if (!record?.image || !isInUse(record)) return;
  race.written += 1;
  race.gpfs.write(fileOf(race.gpfs, record.image.key), 1, String(race.written));
}

const isInUse = ({ state, attachments = [] }: SeenRecord): boolean =>
  state === 'ready' && attachments.some((each) => each.state !== 'fencing');

/** Remembers what the base held when the only request for a name began and ended. */
async function made(race: Race, name: string, work: () => Promise<unknown>): Promise<void> {
  const span = race.spans.get(name) ?? { from: race.written, asked: 0, to: 0 };
  race.spans.set(name, span);
  span.asked += 1;
  try {
    await work();
  } finally {
    span.to = race.written;
  }
}

const expected = ['volume-missing', 'snapshot-missing', 'in-use'] as const;

/** Performs one after the other; resolves to those that met another operation on their object. */
async function performAll(
  race: Race,
  driver: Driver,
  actions: readonly Action[],
): Promise<readonly Action[]> {
  const busy: Action[] = [];
  for (const each of actions)
    try {
      await perform(race, driver, each);
    } catch (error) {
      if (isFault(error, 'busy')) busy.push(each);
      else if (!isFault(error, ...expected)) throw error;
    }
  return busy;
}

function expectContents({ gpfs, spans, written }: Race): void {
  for (const [name, key] of living(gpfs)) {
    const local = name.slice(name.indexOf('/') + 1);
    const path = fileOf(gpfs, key);
    const first = local === 'empty1' ? undefined : base;
    expect([name, gpfs.readBlock(path, 0)]).toEqual([name, first]);
    const second = Number(gpfs.readBlock(path, 1) ?? 0);
    expect(second).toBeLessThanOrEqual(written);
    const span = spans.get(local);
    // Where a name was asked for once, its content is of the time between the question and the answer.
    if (span?.asked === 1)
      expect([name, second, true]).toEqual([name, second, within(span, second)]);
  }
  for (const { attachments = [] } of recordsIn(gpfs, 'volumes'))
    expect(attachments.length).toBeLessThanOrEqual(1);
}

const within = (span: { from: number; to: number }, value: number): boolean =>
  value >= span.from && value <= span.to;

async function removeAll(race: Race, driver: Driver): Promise<void> {
  await driver.attachments.unpublish(`${race.root}.${base}`, '');
  for (const name of volumes) await driver.volumes.remove(`${race.root}.${name}`);
  for (const name of cuts) await driver.snapshots.remove(`${race.root}.${name}`);
}

async function raceOnce(
  s: fc.Scheduler,
  before: readonly Action[],
  left: readonly Action[],
  right: readonly Action[],
): Promise<void> {
  let racing = false;
  const schedule = (label: string) =>
    racing ? s.schedule(Promise.resolve(), label) : Promise.resolve();
  const gpfs = await clusterWithRoot({ schedule });
  const a1 = serverOn(gpfs);
  const b1 = serverOn(gpfs.server('b1'), 'b1');
  const [store] = await a1.roots.all();
  await b1.roots.all();
  const race: Race = { gpfs, root: store?.id ?? '', written: 0, spans: new Map() };
  await a1.volumes.create(spec(base));
  gpfs.write(fileOf(gpfs, living(gpfs).get(`volumes/${base}`) ?? ''), 0, base);
  await performAll(race, a1, before);
  await quiet(gpfs);
  racing = true;
  const both = Promise.all([performAll(race, a1, left), performAll(race, b1, right)]);
  const [busyLeft, busyRight] = await s.waitFor(both);
  racing = false;
  await s.waitIdle();
  await quiet(gpfs);
  // Nothing is under way any more, so no caller has to wait.
  expect(await performAll(race, b1, busyLeft)).toEqual([]);
  expect(await performAll(race, a1, busyRight)).toEqual([]);
  for (const driver of [a1, b1]) await tend(driver);
  expectSound(gpfs);
  expectContents(race);
  await removeAll(race, b1);
  for (const driver of [a1, b1, a1]) await tend(driver);
  expectSound(gpfs);
  expect(dataFiles(gpfs)).toEqual([]);
}

const some = (maxLength: number) => fc.array(action, { maxLength });

test('two servers at work on the same objects keep all of them whole', async () => {
  await fc.assert(fc.asyncProperty(fc.scheduler(), some(4), some(5), some(5), raceOnce), {
    numRuns: Number(process.env['RUNS'] ?? 200),
  });
});
