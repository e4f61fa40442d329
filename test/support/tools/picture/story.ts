import { GiB } from '../../../../src/model/bytes.ts';
import { growForest } from '../../../../src/model/forest/forest.ts';
import { fileJson } from '../../../../src/model/forest/graphs.ts';
import { rowsOf } from '../../../../src/model/forest/view.ts';
import type { Driver } from '../../../../src/service/driver.ts';
import { readForest } from '../../../../src/service/forest/forest.ts';
import { blockBytes } from '../../../../src/simulator/memory/visible-files.ts';
import {
  clusterWithRoot,
  dataFiles,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from '../../memory/driver.ts';
import { attach } from '../../memory/world.ts';
import { fileOf, living } from '../../memory/truth.ts';

/** A file as `gpfs-csi tree --json` shows it. */
export type TreeFile = ReturnType<typeof fileJson>;

/** Bytes of the blocks in the file itself; one that is missing holds none. */
export const ownBytesOf = (file: TreeFile): number => ('ownBytes' in file ? file.ownBytes : 0);

/** One thing that a user does, and the bytes that all data files together grew by. */
export interface Step {
  readonly what: string;
  readonly grewBytes: number;
}

/** What the picture of README.md shows: every number in it comes from the driver on the simulator. */
export interface Story {
  readonly steps: readonly Step[];
  readonly files: readonly TreeFile[];
}

interface Stage {
  readonly gpfs: Cluster;
  readonly driver: Driver;
  readonly root: string;
}

const size = 100n * GiB;

/** Writes a volume, takes snapshots, restores, clones, and deletes a snapshot that others read through. */
export async function playStory(): Promise<Story> {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs, 'node1');
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the driver found no root on the simulator');
  const stage = { gpfs, driver, root: store.id };
  const steps: Step[] = [];
  for (const [what, act] of acts) {
    const before = heldBytes(gpfs);
    await act(stage);
    steps.push({ what, grewBytes: Number(heldBytes(gpfs) - before) });
  }
  const unreadable = (error: Error) => {
    throw error;
  };
  const forest = growForest(await readForest(store, (file) => file, { onUnreadable: unreadable }));
  const rows = [...rowsOf(forest, { collapse: false })];
  return { steps, files: rows.flatMap((row) => ('node' in row ? [fileJson(row)] : [])) };
}

const acts: readonly (readonly [what: string, act: (stage: Stage) => Promise<unknown>])[] = [
  ['create volume db of 100 GiB', (stage) => create(stage, 'db')],
  ['a pod writes 40 GiB to db', (stage) => write(stage, 'db', 0n, 40n * GiB)],
  ['take snapshot monday of db', (stage) => snapshot(stage, 'monday')],
  ['the pod writes 8 GiB', (stage) => write(stage, 'db', 10n * GiB, 8n * GiB)],
  ['take snapshot tuesday of db', (stage) => snapshot(stage, 'tuesday')],
  ['restore monday as restored', (stage) => create(stage, 'restored', 'snapshot', 'monday')],
  ['a pod writes 2 GiB to restored', (stage) => write(stage, 'restored', 0n, 2n * GiB)],
  ['the first pod writes 5 GiB to db', (stage) => write(stage, 'db', 50n * GiB, 5n * GiB)],
  ['clone db as test', (stage) => create(stage, 'test', 'volume', 'db')],
  ['a pod writes 1 GiB to test', (stage) => write(stage, 'test', 20n * GiB, 1n * GiB)],
  ['delete snapshot monday', ({ driver, root }) => driver.snapshots.remove(`${root}.monday`)],
];

async function create(
  { driver, root }: Stage,
  name: string,
  kind?: 'snapshot' | 'volume',
  source = '',
): Promise<void> {
  const range = { requiredBytes: size, limitBytes: 0n };
  const origin = kind === undefined ? {} : { source: from(kind, { id: `${root}.${source}` }) };
  const { id } = await driver.volumes.create(spec(name, { range, ...origin }));
  await driver.attachments.publish(attach(id, 'node1'));
}

const snapshot = ({ driver, root }: Stage, name: string) =>
  driver.snapshots.create(snap(name, { id: `${root}.db` }));

function write({ gpfs }: Stage, name: string, at: bigint, bytes: bigint): Promise<void> {
  const image = fileOf(gpfs, living(gpfs).get(`volumes/${name}`) ?? '');
  const first = Number(at / blockBytes);
  const count = Number(bytes / blockBytes);
  for (let block = first; block < first + count; block++) gpfs.write(image, block, name);
  return Promise.resolve();
}

const heldBytes = (gpfs: Cluster): bigint =>
  dataFiles(gpfs).reduce(
    (sum, path) => sum + BigInt(gpfs.heldBlocks(`${testRoot}/${path}`)) * blockBytes,
    0n,
  );
