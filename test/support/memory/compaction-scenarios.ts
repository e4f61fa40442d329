import { underWayMs } from '../../../src/service/compaction/worker.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { tend } from './driver.ts';
import { allow, cut, derived, idOf, volume, type Scenario, type World } from './world.ts';
import { asked } from './scenarios.ts';
import { writeVolume } from './truth.ts';

const compact = async (driver: Driver, { gpfs }: World): Promise<string> => {
  gpfs.clock.tick(underWayMs + 1);
  await tend(driver);
  return 'done';
};

const compacting: readonly Scenario[] = [
  {
    name: 'absorb a tombstone below nothing',
    prepare: async (world) => {
      await volume(world, 'v');
      await cut(world, 's', 'v');
      writeVolume(world.gpfs, 'v', 'later');
      await world.driver.snapshots.remove(idOf(world, 's').id);
    },
    act: compact,
    answer: 'done',
    after: { 'volumes/v': 'later' },
    compacts: true,
  },
  {
    name: 'absorb a tombstone below a kept snapshot',
    prepare: async (world) => {
      await volume(world, 'v');
      await cut(world, 's1', 'v');
      writeVolume(world.gpfs, 'v', 'between');
      await cut(world, 's2', 'v');
      writeVolume(world.gpfs, 'v', 'later');
      await world.driver.snapshots.remove(idOf(world, 's2').id);
    },
    act: compact,
    answer: 'done',
    after: { 'volumes/v': 'later', 'snapshots/s1': 'v' },
    compacts: true,
  },
  {
    name: 'absorb a tombstone into the snapshot below it',
    prepare: async (world) => {
      world.gpfs.set({ redirectParent: true });
      await allow(world, { redirectParent: true });
      await volume(world, 'v');
      await cut(world, 's1', 'v');
      writeVolume(world.gpfs, 'v', 'between');
      await cut(world, 's2', 'v');
      writeVolume(world.gpfs, 'v', 'later');
      await world.driver.snapshots.remove(idOf(world, 's1').id);
    },
    act: compact,
    answer: 'done',
    after: { 'volumes/v': 'later', 'snapshots/s2': 'between' },
    compacts: true,
  },
  {
    name: 'absorb a tombstone into the hidden parent below it',
    prepare: async (world) => {
      world.gpfs.set({ redirectParent: true });
      await allow(world, { redirectParent: true });
      await volume(world, 'v');
      await cut(world, 's', 'v');
      await derived(world, 'c', 'volume', 'v');
      await world.driver.snapshots.remove(idOf(world, 's').id);
    },
    act: compact,
    answer: 'done',
    after: { 'volumes/v': 'v', 'volumes/c': 'v' },
  },
  {
    name: 'remove a clone parent that GPFS kept for a while',
    prepare: async (world) => {
      world.gpfs.set({ deleteWindowMs: 5_000 });
      await volume(world, 'v');
      await cut(world, 's', 'v');
      await world.driver.snapshots.remove(idOf(world, 's').id);
      await world.driver.volumes.remove(idOf(world, 'v').id);
    },
    act: compact,
    answer: 'done',
    after: {},
    compacts: true,
  },
];

/** Every operation of the controller that changes something, its own upkeep included. */
export const scenarios: readonly Scenario[] = [...asked, ...compacting];
