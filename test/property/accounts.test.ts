import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountsOf, sumUp } from '../../src/model/forest/accounts.ts';
import { MiB } from '../../src/model/bytes.ts';
import { DriverError } from '../../src/model/fault.ts';
import { growForest, type ForestNode } from '../../src/model/forest/forest.ts';
import { readForest } from '../../src/service/forest/forest.ts';
import { blockBytes } from '../../src/simulator/memory/visible-files.ts';
import {
  dataFiles,
  from,
  snap,
  spec,
  tend,
  testRoot,
  type Cluster,
} from '../support/memory/driver.ts';
import { newWorld, quiet, type World } from '../support/memory/world.ts';
import { fileOf, living } from '../support/memory/truth.ts';

interface Step {
  readonly action: keyof typeof doing;
  readonly name: string;
  readonly cut: string;
  readonly of: string;
  readonly block: number;
}

const names = ['v1', 'v2', 'v3', 'v4'];
const cuts = ['s1', 's2', 's3', 's4', 's5', 's6'];
/** Blocks of a volume of 64 MiB. */
const blocks = 16;

const each = {
  name: fc.constantFrom(...names),
  cut: fc.constantFrom(...cuts),
  of: fc.constantFrom(...names, ...cuts, ''),
  block: fc.nat(blocks - 1),
};

/** What can be done to a world; what it is done to need not be there. */
const doing = {
  create: async ({ driver, ids }: World, { name, of }: Step) => {
    const kind = cuts.includes(of) ? 'snapshot' : 'volume';
    const source = ids.has(of) ? from(kind, { id: ids.get(of) ?? '' }) : undefined;
    ids.set(name, (await driver.volumes.create(spec(name, { source }))).id);
  },
  remove: ({ driver, ids }: World, { name }: Step) =>
    driver.volumes.remove(ids.get(name) ?? 'none'),
  cut: async ({ driver, ids }: World, { name, cut }: Step) => {
    const made = await driver.snapshots.create(snap(cut, { id: ids.get(name) ?? 'none' }));
    ids.set(cut, made.id);
  },
  uncut: ({ driver, ids }: World, { cut }: Step) => driver.snapshots.remove(ids.get(cut) ?? 'none'),
  write: async ({ gpfs }: World, { name, block }: Step) => {
    await Promise.resolve();
    const key = living(gpfs).get(`volumes/${name}`);
    if (key !== undefined) gpfs.write(fileOf(gpfs, key), block, 'x');
  },
  tend: ({ driver }: World) => tend(driver),
};

const step: fc.Arbitrary<Step> = fc.record({
  action: fc.constantFrom(
    ...(['create', 'create', 'create', 'remove', 'cut', 'cut', 'cut', 'uncut', 'uncut'] as const),
    ...(['write', 'write', 'write', 'write', 'write', 'tend'] as const),
  ),
  ...each,
});

const refused = (error: unknown): void => {
  if (!(error instanceof DriverError)) throw error;
};

const readAll = async ({ driver }: World): Promise<readonly ForestNode[]> => {
  const [store] = await driver.roots.all();
  const onUnreadable = (error: Error) => {
    throw error;
  };
  return store ? readForest(store, (file) => file, { onUnreadable }) : [];
};

/** What the file system says it used, without what is no data file. */
async function usedByData(gpfs: Cluster): Promise<bigint> {
  const data = new Set(dataFiles(gpfs).map((path) => `${testRoot}/${path}`));
  const others = gpfs.paths().filter((path) => !data.has(path));
  const held = await Promise.all(others.map((path) => gpfs.files.held(path)));
  const { used } = await gpfs.files.space(testRoot);
  return used - held.reduce((sum, bytes) => sum + bytes, 0n);
}

/** Bytes that reading a file through finds. */
function visible(gpfs: Cluster, key: string): bigint {
  const path = fileOf(gpfs, key);
  const all = Array.from({ length: blocks }, (_, block) => gpfs.readBlock(path, block));
  return BigInt(all.filter((block) => block !== undefined).length) * blockBytes;
}

/** Parents above each file, as the file system has it. */
function depths(gpfs: Cluster): ReadonlyMap<string, number> {
  const tree = gpfs.tree();
  const depthOf = (inode: string): number => {
    const parent = tree.get(inode)?.parent;
    return parent === undefined ? 0 : 1 + depthOf(parent);
  };
  return new Map([...tree].map(([inode, { path = '' }]) => [path, depthOf(inode)]));
}

test('after anything, accounts add up to what the file system uses, and bound what is shared', async () => {
  let worn = 0;
  const story = fc.array(step, { minLength: 30, maxLength: 60, size: 'max' });
  await fc.assert(
    fc.asyncProperty(story, async (steps) => {
      const world = await newWorld();
      const { gpfs } = world;
      for (const one of steps) await doing[one.action](world, one).catch(refused);
      await quiet(gpfs);
      const files = await readAll(world);
      const sums = sumUp(files);
      const truth = depths(gpfs);
      expect(sums.live + sums.dead).toBe(await usedByData(gpfs));
      expect(sums.logical).toBe(BigInt(sums.files.volume) * 64n * MiB);
      for (const { node, account } of accountsOf(growForest(files))) {
        const seen = visible(gpfs, node.key);
        expect(account.own).toBeLessThanOrEqual(seen);
        expect(account.shared).toBeGreaterThanOrEqual(seen - account.own);
        expect(account.own + account.shared).toBeLessThanOrEqual(node.bytes);
        expect(account.depth).toBe(truth.get(fileOf(gpfs, node.key)) ?? 0);
      }
      if (sums.dead > 0n && sums.deepest > 1) worn += 1;
    }),
    { numRuns: 150 },
  );
  // Else it only looked at forests that need no accounts.
  expect(worn).toBeGreaterThan(10);
});
