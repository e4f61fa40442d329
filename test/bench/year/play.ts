import { defaultRule, type CompactionRule } from '../../../src/model/compaction.ts';
import { blockBytes } from '../../../src/simulator/memory/visible-files.ts';
import type { Driver } from '../../../src/service/driver.ts';
import {
  clusterWithRoot,
  dataFiles,
  serverOn,
  snap,
  spec,
  tend,
  testRoot,
  type Cluster,
} from '../../support/memory/driver.ts';
import { fileOf, living } from '../../support/memory/truth.ts';

const nights = 365;
export const volumeBlocks = 2_000;

/** One way to look after the clone tree of a volume. */
export interface Policy {
  readonly name: string;
  readonly maxCloneDepth: string;
  readonly rule: CompactionRule;
}

/** Absorbs only files without blocks: the only limit is then that of the depth, as in Cinder. */
const noRule: CompactionRule = { factor: 0, deadShare: 1e6, stuck: 1e6 };

export const policies: readonly Policy[] = [
  { name: 'our rule', maxCloneDepth: '0', rule: defaultRule },
  { name: 'maxCloneDepth 1', maxCloneDepth: '1', rule: noRule },
  { name: 'none', maxCloneDepth: '0', rule: noRule },
];

/** How a volume is written and backed up: blocks a day, and snapshots that are kept. */
export interface Habit {
  readonly writes: number;
  readonly keep: number;
}

/** A year of one volume, night by night, each measured once the queue is empty. Space is in sizes of the volume. */
export interface Year {
  readonly depth: readonly number[];
  readonly space: readonly number[];
  readonly copied: readonly number[];
}

/** A snapshot every night, deleted `keep` nights later; four of five writes go to a fifth of the blocks. */
export async function playYear(policy: Policy, { writes, keep }: Habit): Promise<Year> {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs, 'a1', { compaction: { rule: policy.rule, maxDepth: 900 } });
  const id = await createFull(gpfs, driver, policy);
  const random = numbers(1);
  const year = { depth: [] as number[], space: [] as number[], copied: [] as number[] };
  for (let night = 0; night < nights; night++) {
    await driver.snapshots.create(snap(`s${night}`, { id }));
    const image = imageOf(gpfs);
    for (let write = 0; write < writes; write++) gpfs.write(image, anyBlock(random), `${night}`);
    if (night >= keep) await driver.snapshots.remove(`${id.slice(0, 8)}.s${night - keep}`);
    const before = gpfs.heldBlocks(image);
    await tend(driver);
    year.copied.push(gpfs.heldBlocks(image) - before);
    year.depth.push(depthOf(gpfs));
    year.space.push(spaceOf(gpfs));
  }
  return year;
}

async function createFull(gpfs: Cluster, driver: Driver, policy: Policy): Promise<string> {
  const range = { requiredBytes: BigInt(volumeBlocks) * blockBytes, limitBytes: 0n };
  const parameters = { maxCloneDepth: policy.maxCloneDepth };
  const { id } = await driver.volumes.create(spec('v', { range, parameters }));
  for (let block = 0; block < volumeBlocks; block++) gpfs.write(imageOf(gpfs), block, 'first');
  return id;
}

const imageOf = (gpfs: Cluster): string => fileOf(gpfs, living(gpfs).get('volumes/v') ?? '');

const anyBlock = (random: () => number): number =>
  Math.floor(random() < 0.8 ? (random() * volumeBlocks) / 5 : random() * volumeBlocks);

function depthOf(gpfs: Cluster): number {
  const tree = gpfs.tree();
  const image = imageOf(gpfs);
  let depth = 0;
  let at = [...tree.values()].find(({ path }) => path === image);
  while (at?.parent !== undefined) {
    depth += 1;
    at = tree.get(at.parent);
  }
  return depth;
}

const spaceOf = (gpfs: Cluster): number =>
  dataFiles(gpfs).reduce((sum, path) => sum + gpfs.heldBlocks(`${testRoot}/${path}`), 0) /
  volumeBlocks;

/** Pseudo-random numbers from 0 to 1, the same in every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
