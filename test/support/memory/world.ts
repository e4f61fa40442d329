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
  id,
  node,
  capability,
  readonly: false,
  context: new Map<string, string>(),
});

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

/** An operation with what must be there before it, and what must be there once it succeeded. */
export interface Scenario {
  readonly name: string;
  readonly prepare: (world: World) => Promise<unknown>;
  /** Resolves to what the caller is told, as a text; the same at each repetition. */
  readonly act: (driver: Driver, world: World) => Promise<string>;
  readonly answer: string;
  /** What users have afterwards, and the first block of each. */
  readonly after: Readonly<Record<string, string>>;
  /** No clone parent that nobody can name is left, once the queue is empty. */
  readonly compacts?: boolean;
  /** Deletes what it makes, where that cannot be deleted one by one. */
  readonly unmake?: (driver: Driver) => Promise<void>;
}
