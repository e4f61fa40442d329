import { importImage, migrate } from './commands.ts';
import { capacity, list, usage, validate } from './questions.ts';
import { growPod, readBoth, share } from './several.ts';
import { buryPod, losePod } from './lost.ts';
import { startPod, stopPod, usePod } from './pods.ts';
import { groupSnapshot, removeSnapshot, snapshot } from './snapshots.ts';
import { clone, createEmpty, expand, inspect, modify, removeVolume, restore } from './volumes.ts';
import type { Lane, World } from '../world.ts';

type Operation = (world: World, lane: Lane) => Promise<void>;

const someVolume = ({ volumes }: World, { random }: Lane) => random.any([...volumes]);
const usedVolume = ({ volumes }: World, { random }: Lane) =>
  random.any([...volumes].filter(({ pod }) => pod));
const freeVolume = ({ volumes }: World, { random }: Lane) =>
  random.any([...volumes].filter(({ pod }) => !pod));
const someSnapshot = ({ snapshots }: World, { random }: Lane) => random.any([...snapshots]);

const mostVolumes = 14;
const mostSnapshots = 16;

/** Does it only while there are few objects, so that a run does not grow for ever. */
const whileFew =
  (few: (world: World) => boolean, operation: Operation): Operation =>
  async (world, lane) => {
    if (few(world)) await operation(world, lane);
  };

const fewVolumes = ({ volumes }: World) => volumes.size < mostVolumes;
const fewSnapshots = ({ snapshots }: World) => snapshots.size < mostSnapshots;

/** All operations, and how often each comes. */
const operations = {
  create: [6, whileFew(fewVolumes, createEmpty)],
  restore: [
    6,
    whileFew(fewVolumes, (world, lane) => restore(world, lane, someSnapshot(world, lane))),
  ],
  clone: [6, whileFew(fewVolumes, (world, lane) => clone(world, lane, someVolume(world, lane)))],
  snapshot: [
    8,
    whileFew(fewSnapshots, (world, lane) => snapshot(world, lane, someVolume(world, lane))),
  ],
  group: [
    3,
    whileFew(fewSnapshots, (world, lane) => groupSnapshot(world, lane, someVolume(world, lane))),
  ],
  expand: [
    4,
    async (world, lane) => {
      const volume = someVolume(world, lane);
      await expand(world, lane, volume);
      await growPod(world, lane, volume);
    },
  ],
  image: [1, whileFew(fewSnapshots, importImage)],
  migrate: [2, (world, lane) => migrate(world, lane, freeVolume(world, lane))],
  modify: [2, (world, lane) => modify(world, lane, someVolume(world, lane))],
  'start pod': [10, (world, lane) => startPod(world, lane, freeVolume(world, lane))],
  'use pod': [16, (world, lane) => usePod(world, lane, usedVolume(world, lane))],
  'stop pod': [6, (world, lane) => stopPod(world, lane, usedVolume(world, lane))],
  'lose pod': [2, (world, lane) => losePod(world, lane, usedVolume(world, lane))],
  'bury pod': [2, (world, lane) => buryPod(world, lane, lane.random.any([...world.lost]))],
  share: [4, (world, lane) => share(world, lane, usedVolume(world, lane))],
  'read by two': [2, (world, lane) => readBoth(world, lane, freeVolume(world, lane))],
  usage: [3, (world, lane) => usage(world, lane, usedVolume(world, lane))],
  validate: [1, (world, lane) => validate(world, lane, someVolume(world, lane))],
  capacity: [1, capacity],
  list: [2, list],
  inspect: [5, (world, lane) => inspect(world, lane, freeVolume(world, lane))],
  'inspect snapshot': [3, (world, lane) => inspect(world, lane, someSnapshot(world, lane))],
  'delete volume': [4, (world, lane) => removeVolume(world, lane, freeVolume(world, lane))],
  'delete snapshot': [5, (world, lane) => removeSnapshot(world, lane, someSnapshot(world, lane))],
} as const satisfies Readonly<Record<string, readonly [number, Operation]>>;

type Name = keyof typeof operations;

const weights = Object.fromEntries(
  Object.entries(operations).map(([name, [weight]]) => [name, weight]),
) as Readonly<Record<Name, number>>;

/** One operation of a lane's choice. */
export async function operate(world: World, lane: Lane): Promise<void> {
  const name = lane.random.weighted(weights);
  const [, operation] = operations[name];
  const before = lane.steps;
  await operation(world, lane);
  // There may have been nothing to do it with.
  if (lane.steps > before) world.journal.count('operations', name);
}
