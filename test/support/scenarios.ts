import { setImmediate } from 'node:timers/promises';
import type { Abilities } from '../../src/model/abilities.ts';
import type { Capability } from '../../src/model/capability.ts';
import type { ContentSource } from '../../src/model/volume.ts';
import { underWayMs } from '../../src/service/compaction/worker.ts';
import type { Driver } from '../../src/service/driver.ts';
import type { Personality } from '../../src/simulator/core/personality.ts';
import {
  block,
  clusterWithRoot,
  from,
  serverOn,
  snap,
  spec,
  tend,
  type Cluster,
} from './driver.ts';
import { fencing } from './fencing.ts';
import { fillScenarios } from './fillscenarios.ts';
import { groupScenarios } from './groups.ts';
import { writeVolume } from './truth.ts';

/** A cluster with one server on node a1. */
export interface World {
  readonly gpfs: Cluster;
  readonly driver: Driver;
  /** Ids by name. */
  readonly ids: Map<string, string>;
}

/** An operation with what must be there before it, and what must be there once it succeeded. */
export interface Scenario {
  readonly name: string;
  readonly prepare: (world: World) => Promise<unknown>;
  /** Resolves to what the caller is told, as a text; the same at each repetition. */
  readonly act: (driver: Driver, world: World) => Promise<string>;
  readonly told: string;
  /** What users have afterwards, and the first block of each. */
  readonly after: Readonly<Record<string, string>>;
  /** No clone parent that nobody can name is left, once the queue is empty. */
  readonly compacts?: boolean;
  /** Deletes what it makes, where that cannot be deleted one by one. */
  readonly unmake?: (driver: Driver) => Promise<void>;
}

/** A started server over a fresh cluster. */
export async function newWorld(personality: Partial<Personality> = {}): Promise<World> {
  const gpfs = await clusterWithRoot({ personality });
  const driver = serverOn(gpfs);
  await driver.roots.all();
  await quiet(gpfs);
  return { gpfs, driver, ids: new Map() };
}

/** Waits until nothing is under way any more on any server. */
export async function quiet(gpfs: Cluster): Promise<void> {
  const begun = () =>
    ['a1', 'b1'].map((name) => gpfs.server(name).calls).reduce((sum, calls) => sum + calls);
  // What waits for something that stands still looks at it for ever: a hundred turns are enough for all else.
  for (let before = -1, round = 0; before !== begun() && round < 100; round++) {
    before = begun();
    for (let turn = 0; turn < 3; turn++) await setImmediate();
  }
}

const local = (id: string): string => id.slice(id.indexOf('.') + 1);
export const idOf = ({ ids }: World, name: string): { id: string } => ({ id: ids.get(name) ?? '' });

/** An empty volume with this first block. */
export async function volume(world: World, name: string, value = name): Promise<void> {
  const { id } = await world.driver.volumes.create(spec(name));
  world.ids.set(name, id);
  writeVolume(world.gpfs, name, value);
}

/** A snapshot of a volume. */
export async function cut(world: World, name: string, of: string): Promise<void> {
  const { id } = await world.driver.snapshots.create(snap(name, idOf(world, of)));
  world.ids.set(name, id);
}

/** A volume made from another, or from a snapshot. */
export async function derived(
  world: World,
  name: string,
  kind: ContentSource['kind'],
  of: string,
): Promise<void> {
  const source = from(kind, idOf(world, of));
  const { id } = await world.driver.volumes.create(spec(name, { source }));
  world.ids.set(name, id);
}

/** What a CO asks to attach a volume to a node. */
export const attach = (id: string, node = 'a1', capability: Capability = block()) => ({
  ...{ id, node, capability, readonly: false },
  context: new Map<string, string>(),
});

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
    told: 'v 64',
    after: { 'volumes/v': '' },
  },
  {
    name: 'create a volume of a name that was deleted',
    prepare: async (world) => {
      await volume(world, 'v');
      await world.driver.volumes.remove(idOf(world, 'v').id);
    },
    act: create('v'),
    told: 'v 64',
    after: { 'volumes/v': '' },
  },
  {
    name: 'create a volume with attributes',
    prepare: async () => Promise.resolve(),
    act: create('v', () => ({ parameters: { pool: 'data' } })),
    told: 'v 64',
    after: { 'volumes/v': '' },
  },
  {
    name: 'take the first snapshot of a volume',
    prepare: (world) => volume(world, 'v'),
    act: async (driver, world) =>
      local((await driver.snapshots.create(snap('s', idOf(world, 'v')))).id),
    told: 's',
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
    told: 's2',
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
    told: 'r 128',
    after: { 'volumes/v': 'later', 'snapshots/s': 'v', 'volumes/r': 'v' },
  },
  {
    name: 'clone a volume',
    prepare: (world) => volume(world, 'v'),
    act: create('c', (world) => ({ source: from('volume', idOf(world, 'v')) })),
    told: 'c 64',
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
    told: 'c 64',
    after: { 'volumes/v': 'later', 'volumes/c': 'later', 'snapshots/s': 'v' },
  },
  {
    name: 'clone a volume again, below the same parent',
    prepare: async (world) => {
      await volume(world, 'v');
      await derived(world, 'c1', 'volume', 'v');
    },
    act: create('c2', (world) => ({ source: from('volume', idOf(world, 'v')) })),
    told: 'c2 64',
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
    told: String(128n << 20n),
    after: { 'volumes/v': 'v' },
  },
  {
    name: 'publish a volume',
    prepare: (world) => volume(world, 'v'),
    act: (driver, world) => done(driver.attachments.publish(attach(idOf(world, 'v').id))),
    told: 'done',
    after: { 'volumes/v': 'v' },
  },
  {
    name: 'unpublish a volume',
    prepare: async (world) => {
      await volume(world, 'v');
      await world.driver.attachments.publish(attach(idOf(world, 'v').id));
    },
    act: (driver, world) => done(driver.attachments.unpublish(idOf(world, 'v').id, 'a1')),
    told: 'done',
    after: { 'volumes/v': 'v' },
  },
];

const removing: readonly Scenario[] = [
  {
    name: 'delete a volume',
    prepare: (world) => volume(world, 'v'),
    act: (driver, world) => done(driver.volumes.remove(idOf(world, 'v').id)),
    told: 'done',
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
    told: 'done',
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
    told: 'done',
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
    told: 'done',
    after: { 'volumes/v': 'v', 'volumes/r': 'v' },
  },
];

/** Time passes until whatever a server put off, or left under way when it died, is due again. */
export async function workOff({ gpfs }: World, ...servers: readonly Driver[]): Promise<void> {
  for (let round = 0; round < 4; round++)
    for (const server of servers) {
      gpfs.clock.tick(underWayMs + 1);
      await tend(server);
    }
}

/** As a probe of this root would have found it. */
export async function allow(
  { driver }: Pick<World, 'driver'>,
  abilities: Partial<Abilities>,
): Promise<void> {
  const found = { format: 1, node: 'a1', version: '0', probedMs: 0, abilities };
  for (const { files, layout } of await driver.roots.all())
    await files.createDurable(layout.abilities, JSON.stringify(found), 0o640);
}

/** Every operation that a caller asks for and that changes something. */
export const asked: readonly Scenario[] = [
  ...[...making, ...cloning, ...changing, ...fencing],
  ...[...removing, ...fillScenarios, ...groupScenarios],
];
