import type { Driver } from '../../../src/service/driver.ts';
import { from, snap, spec } from './driver.ts';
import { fencing } from './fencing.ts';
import { fillScenarios } from './fill-scenarios.ts';
import { groupScenarios } from './groups.ts';
import { writeVolume } from './truth.ts';
import { idOf, volume, cut, derived, attach, type World, type Scenario } from './world.ts';

const local = (id: string): string => id.slice(id.indexOf('.') + 1);

const create =
  (name: string, rest: (world: World) => Parameters<typeof spec>[1] = () => ({})) =>
  async (driver: Driver, world: World): Promise<string> => {
    const made = await driver.volumes.create(spec(name, rest(world)));
    return `${local(made.id)} ${made.bytes >> 20n}`;
  };

const done = async (work: Promise<unknown>): Promise<string> => {
  await work;
  return 'done';
};

const making: readonly Scenario[] = [
  {
    name: 'create an empty volume',
    prepare: async () => Promise.resolve(),
    act: create('v'),
    answer: 'v 64',
    after: { 'volumes/v': '' },
  },
  {
    name: 'create a volume of a name that was deleted',
    prepare: async (world) => {
      await volume(world, 'v');
      await world.driver.volumes.remove(idOf(world, 'v').id);
    },
    act: create('v'),
    answer: 'v 64',
    after: { 'volumes/v': '' },
  },
  {
    name: 'create a volume with attributes',
    prepare: async () => Promise.resolve(),
    act: create('v', () => ({ parameters: { pool: 'data' } })),
    answer: 'v 64',
    after: { 'volumes/v': '' },
  },
  {
    name: 'take the first snapshot of a volume',
    prepare: (world) => volume(world, 'v'),
    act: async (driver, world) =>
      local((await driver.snapshots.create(snap('s', idOf(world, 'v')))).id),
    answer: 's',
    after: { 'volumes/v': 'v', 'snapshots/s': 'v' },
  },
  {
    name: 'take a further snapshot of a volume',
    prepare: async (world) => {
      await volume(world, 'v');
      await cut(world, 's1', 'v');
      writeVolume(world.gpfs, 'v', 'later');
    },
    act: async (driver, world) =>
      local((await driver.snapshots.create(snap('s2', idOf(world, 'v')))).id),
    answer: 's2',
    after: { 'volumes/v': 'later', 'snapshots/s1': 'v', 'snapshots/s2': 'later' },
  },
];

const cloning: readonly Scenario[] = [
  {
    name: 'restore a snapshot, larger',
    prepare: async (world) => {
      await volume(world, 'v');
      await cut(world, 's', 'v');
      writeVolume(world.gpfs, 'v', 'later');
    },
    act: create('r', (world) => ({
      source: from('snapshot', idOf(world, 's')),
      range: { requiredBytes: 128n << 20n, limitBytes: 0n },
    })),
    answer: 'r 128',
    after: { 'volumes/v': 'later', 'snapshots/s': 'v', 'volumes/r': 'v' },
  },
  {
    name: 'clone a volume',
    prepare: (world) => volume(world, 'v'),
    act: create('c', (world) => ({ source: from('volume', idOf(world, 'v')) })),
    answer: 'c 64',
    after: { 'volumes/v': 'v', 'volumes/c': 'v' },
  },
  {
    name: 'clone a volume below a snapshot of it, with attributes',
    prepare: async (world) => {
      await volume(world, 'v');
      await cut(world, 's', 'v');
      await world.driver.attachments.publish(attach(idOf(world, 'v').id));
      writeVolume(world.gpfs, 'v', 'later');
    },
    act: create('c', (world) => ({
      source: from('volume', idOf(world, 'v')),
      parameters: { pool: 'data' },
    })),
    answer: 'c 64',
    after: { 'volumes/v': 'later', 'volumes/c': 'later', 'snapshots/s': 'v' },
  },
  {
    name: 'clone a volume again, below the same parent',
    prepare: async (world) => {
      await volume(world, 'v');
      await derived(world, 'c1', 'volume', 'v');
    },
    act: create('c2', (world) => ({ source: from('volume', idOf(world, 'v')) })),
    answer: 'c2 64',
    after: { 'volumes/v': 'v', 'volumes/c1': 'v', 'volumes/c2': 'v' },
  },
];

const changing: readonly Scenario[] = [
  {
    name: 'expand a volume',
    prepare: (world) => volume(world, 'v'),
    act: async (driver, world) => {
      const range = { requiredBytes: 128n << 20n, limitBytes: 0n };
      return String(await driver.volumes.expand(idOf(world, 'v').id, range, undefined));
    },
    answer: String(128n << 20n),
    after: { 'volumes/v': 'v' },
  },
  {
    name: 'publish a volume',
    prepare: (world) => volume(world, 'v'),
    act: (driver, world) => done(driver.attachments.publish(attach(idOf(world, 'v').id))),
    answer: 'done',
    after: { 'volumes/v': 'v' },
  },
  {
    name: 'unpublish a volume',
    prepare: async (world) => {
      await volume(world, 'v');
      await world.driver.attachments.publish(attach(idOf(world, 'v').id));
    },
    act: (driver, world) => done(driver.attachments.unpublish(idOf(world, 'v').id, 'a1')),
    answer: 'done',
    after: { 'volumes/v': 'v' },
  },
];

const removing: readonly Scenario[] = [
  {
    name: 'delete a volume',
    prepare: (world) => volume(world, 'v'),
    act: (driver, world) => done(driver.volumes.remove(idOf(world, 'v').id)),
    answer: 'done',
    after: {},
  },
  {
    name: 'delete the last volume below a chain of tombstones',
    prepare: async (world) => {
      await volume(world, 'v');
      await cut(world, 's', 'v');
      await derived(world, 'c', 'volume', 'v');
      await world.driver.snapshots.remove(idOf(world, 's').id);
      await world.driver.volumes.remove(idOf(world, 'c').id);
    },
    act: (driver, world) => done(driver.volumes.remove(idOf(world, 'v').id)),
    answer: 'done',
    after: {},
  },
  {
    name: 'delete a snapshot without children, below a tombstone',
    prepare: async (world) => {
      await volume(world, 'v');
      await cut(world, 's1', 'v');
      await cut(world, 's2', 'v');
      await world.driver.snapshots.remove(idOf(world, 's1').id);
      await world.driver.volumes.remove(idOf(world, 'v').id);
    },
    act: (driver, world) => done(driver.snapshots.remove(idOf(world, 's2').id)),
    answer: 'done',
    after: {},
  },
  {
    name: 'delete a snapshot that a restore and its volume read through',
    prepare: async (world) => {
      await volume(world, 'v');
      await cut(world, 's', 'v');
      await derived(world, 'r', 'snapshot', 's');
    },
    act: (driver, world) => done(driver.snapshots.remove(idOf(world, 's').id)),
    answer: 'done',
    after: { 'volumes/v': 'v', 'volumes/r': 'v' },
  },
];

/** Every operation of a caller that changes something. */
export const asked: readonly Scenario[] = [
  ...making,
  ...cloning,
  ...changing,
  ...fencing,
  ...removing,
  ...fillScenarios,
  ...groupScenarios,
];
