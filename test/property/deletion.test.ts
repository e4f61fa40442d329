import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deletionOf, freesEach, type Deletion } from '../../src/model/forest/deletion.ts';
import { DriverError } from '../../src/model/fault.ts';
import { growForest, type Forest, type ForestNode } from '../../src/model/forest/forest.ts';
import { beat } from '../../src/service/maintenance.ts';
import { readForest } from '../../src/service/forest/forest.ts';
import { blockBytes } from '../../src/simulator/memory/visible-files.ts';
import {
  dataFiles,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from '../support/memory/driver.ts';
import { attach, newWorld, quiet, type World } from '../support/memory/world.ts';
import { fileOf, living } from '../support/memory/truth.ts';

const names = ['v1', 'v2', 'v3', 'v4', 'v5'];
const cuts = ['s1', 's2', 's3', 's4', 's5', 's6'];

interface Step {
  readonly action: keyof typeof doing;
  readonly name: string;
  readonly cut: string;
  readonly of: string;
  readonly block: number;
}

/** What can be done to a world before the question is asked; what it is done to need not be there. */
const doing = {
  create: async ({ driver, ids }: World, { name, of }: Step) => {
    const kind = cuts.includes(of) ? 'snapshot' : 'volume';
    const source = ids.has(of) ? from(kind, { id: ids.get(of) ?? '' }) : undefined;
    ids.set(name, (await driver.volumes.create(spec(name, { source }))).id);
  },
  cut: async ({ driver, ids }: World, { name, cut }: Step) => {
    const made = await driver.snapshots.create(snap(cut, { id: ids.get(name) ?? 'none' }));
    ids.set(cut, made.id);
  },
  attach: ({ driver, ids }: World, { name }: Step) =>
    driver.attachments.publish(attach(ids.get(name) ?? 'none')),
  write: async ({ gpfs }: World, { name, block }: Step) => {
    await Promise.resolve();
    const key = living(gpfs).get(`volumes/${name}`);
    if (key !== undefined) gpfs.write(fileOf(gpfs, key), block, 'x');
  },
  remove: (world: World, { name }: Step) => remove(world, name),
  uncut: (world: World, { cut }: Step) => remove(world, cut),
};

const step: fc.Arbitrary<Step> = fc.record({
  action: fc.constantFrom(
    ...(['create', 'create', 'create', 'cut', 'cut', 'cut', 'remove', 'uncut', 'attach'] as const),
    ...(['write', 'write', 'write', 'write'] as const),
  ),
  name: fc.constantFrom(...names),
  cut: fc.constantFrom(...cuts),
  of: fc.constantFrom(...names, ...cuts, ''),
  block: fc.nat(15),
});

/** Whether the driver did it; a refusal is an answer, anything else fails the test. */
async function did(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!(error instanceof DriverError)) throw error;
    return false;
  }
}

const remove = ({ driver, ids }: World, name: string): Promise<void> =>
  names.includes(name)
    ? driver.volumes.remove(ids.get(name) ?? 'none')
    : driver.snapshots.remove(ids.get(name) ?? 'none');

async function readAll({ driver, gpfs }: World): Promise<Forest<ForestNode>> {
  await quiet(gpfs);
  const [store] = await driver.roots.all();
  const onUnreadable = (error: Error) => {
    throw error;
  };
  return growForest(store ? await readForest(store, (file) => file, { onUnreadable }) : []);
}

/** Own blocks of all data files, as the simulated file system counts them. */
const heldBytes = (gpfs: Cluster): bigint =>
  dataFiles(gpfs).reduce(
    (sum, path) => sum + BigInt(gpfs.heldBlocks(`${testRoot}/${path}`)) * blockBytes,
    0n,
  );

/** A world in which nothing is compacted: that may free more than a deletion alone, and says so elsewhere. */
async function worldWithoutCompaction(): Promise<World> {
  const world = await newWorld();
  return { ...world, driver: serverOn(world.gpfs, 'a1', { compaction: { paused: true } }) };
}

const runs = process.env['RUNS'];

const seen = { tombstones: 0, refused: 0, chains: 0 };

/** Volumes and snapshots of these names. */
const namedIn = (forest: Forest<ForestNode>, names: readonly string[]): readonly ForestNode[] =>
  [...forest.nodes.values()].filter(
    ({ kind, name }) => (kind === 'volume' || kind === 'snapshot') && names.includes(name),
  );

const keysOf = (files: Iterable<ForestNode>): readonly string[] =>
  [...files].map(({ key }) => key).sort();

function checkStays(said: Deletion, left: Forest<ForestNode>): void {
  for (const { node, why } of said.stays) {
    expect(left.nodes.get(node.key)?.kind).toBe(why === 'read' ? 'tombstone' : node.kind);
    if (why === 'read') seen.tombstones += 1;
    if (why === 'attached') seen.refused += 1;
  }
}

test('what a deletion is said to free is what it frees, in any order, and what is said to stay stays', async () => {
  const story = fc.record({
    steps: fc.array(step, { minLength: 20, maxLength: 50, size: 'max' }),
    asked: fc.shuffledSubarray([...names, ...cuts], { minLength: 1 }),
  });
  await fc.assert(
    fc.asyncProperty(story, async ({ steps, asked }) => {
      const world = await worldWithoutCompaction();
      for (const one of steps) await did(doing[one.action](world, one));
      await beat(world.driver.host);
      const forest = await readAll(world);
      const named = namedIn(forest, asked);
      const said = deletionOf(forest, new Set(keysOf(named)));

      const before = heldBytes(world.gpfs);
      for (const name of asked.filter((one) => named.some((node) => node.name === one)))
        await did(remove(world, name));
      await beat(world.driver.host);
      const left = await readAll(world);
      expect(before - heldBytes(world.gpfs)).toBe(said.freed);
      const gone = new Set(said.goes);
      const stay = [...forest.nodes.values()].filter((node) => !gone.has(node));
      expect(keysOf(left.nodes.values())).toEqual(keysOf(stay));
      checkStays(said, left);
      if (said.goes.length > named.length) seen.chains += 1;
      for (const { key, attachedTo } of named)
        if (attachedTo.length === 0)
          expect(freesEach(forest).get(key)).toBe(deletionOf(forest, new Set([key])).freed);
    }),
    // A seed of its own, because the counts below are of few stories; the soak tries others.
    runs === undefined ? { numRuns: 200, seed: 53 } : { numRuns: Number(runs) },
  );
  // Else it only looked at forests in which nothing stays and nothing follows.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(4);
});
