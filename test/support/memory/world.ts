import { setImmediate } from 'node:timers/promises';
import type { Abilities } from '../../../src/model/abilities.ts';
import type { Capability } from '../../../src/model/capability.ts';
import type { ContentSource } from '../../../src/model/volume.ts';
import { underWayMs } from '../../../src/service/compaction/worker.ts';
import type { Driver } from '../../../src/service/driver.ts';
import type { Personality } from '../../../src/simulator/core/personality.ts';
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
import { writeVolume } from './truth.ts';

/** A cluster with one server on node a1. */
export interface World {
  readonly gpfs: Cluster;
  readonly driver: Driver;
  /** Ids by name. */
  readonly ids: Map<string, string>;
}

/** A started server over a fresh cluster; `schedule` hears of every call. */
export async function newWorld(
  personality: Partial<Personality> = {},
  schedule?: (label: string) => Promise<void>,
): Promise<World> {
  const gpfs = await clusterWithRoot({ personality, ...(schedule ? { schedule } : {}) });
  const driver = serverOn(gpfs);
  await driver.roots.all();
  await quiet(gpfs);
  return { gpfs, driver, ids: new Map() };
}

/** Waits until no server is performing an operation. */
export async function quiet(gpfs: Cluster): Promise<void> {
  const begun = () =>
    ['a1', 'b1'].map((name) => gpfs.server(name).calls).reduce((sum, calls) => sum + calls);
  // A stalled call keeps its waiters polling. A hundred rounds are enough for all other work.
  for (let before = -1, round = 0; before !== begun() && round < 100; round++) {
    before = begun();
    for (let turn = 0; turn < 3; turn++) await setImmediate();
  }
}

export const idOf = ({ ids }: World, name: string): { id: string } => ({ id: ids.get(name) ?? '' });

/** Creates a volume and writes its first block. */
export async function volume(world: World, name: string, value = name): Promise<void> {
  const { id } = await world.driver.volumes.create(spec(name));
  world.ids.set(name, id);
  writeVolume(world.gpfs, name, value);
}

/** Takes a snapshot of a volume. */
export async function cut(world: World, name: string, of: string): Promise<void> {
  const { id } = await world.driver.snapshots.create(snap(name, idOf(world, of)));
  world.ids.set(name, id);
}

/** Creates a volume from another volume or from a snapshot. */
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
  id,
  node,
  capability,
  readonly: false,
  context: new Map<string, string>(),
});

/** Lets time pass and the servers work, so that they do what they put off and end what a dead server left. */
export async function workOff({ gpfs }: World, ...servers: readonly Driver[]): Promise<void> {
  for (let round = 0; round < 4; round++)
    for (const server of servers) {
      gpfs.clock.tick(underWayMs + 1);
      await tend(server);
    }
}

/** Writes these abilities into the roots, as a probe would. */
export async function allow(
  { driver }: Pick<World, 'driver'>,
  abilities: Partial<Abilities>,
): Promise<void> {
  const found = { format: 1, node: 'a1', version: '0', probedMs: 0, abilities };
  for (const { files, layout } of await driver.roots.all())
    await files.createDurable(layout.abilities, JSON.stringify(found), 0o640);
}

/** An operation, what it needs before it, and what must exist once it has succeeded. */
export interface Scenario {
  readonly name: string;
  readonly prepare: (world: World) => Promise<unknown>;
  /** Performs the operation and resolves to `answer`. A repetition gives the same answer. */
  readonly act: (driver: Driver, world: World) => Promise<string>;
  /** What the caller gets as the reply, as a text. */
  readonly answer: string;
  /** The objects of users afterwards, each with its first block. */
  readonly after: Readonly<Record<string, string>>;
  /** Whether no hidden parent is left once the queue is empty. */
  readonly compacts?: boolean;
  /** Deletes what the operation makes, where its objects cannot be deleted one by one. */
  readonly unmake?: (driver: Driver) => Promise<void>;
}
