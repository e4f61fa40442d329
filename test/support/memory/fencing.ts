import type { FileKey } from '../../../src/model/ids.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { block, clusterWithRoot, serverOn, snap, spec, type Cluster } from './driver.ts';
import type { Scenario, World } from './world.ts';
import { living, writeVolume } from './truth.ts';

/** The key of a volume's current image. */
export const imageKey = (gpfs: Cluster, volume: string): FileKey =>
  living(gpfs).get(`volumes/${volume}`) as FileKey;

/** Writes the mark of a lost node on a volume's current image. */
async function lose({ driver, gpfs }: World, volume: string, node = 'lost1'): Promise<void> {
  const [store] = await driver.roots.all();
  const self = { ...driver.host.self, node, machineId: `machine-${node}` };
  await store?.marks.set(imageKey(gpfs, volume), self);
}

/** What a CO asks to attach a volume to a node. */
const attaching = (id: string, node: string, capability = block()) => ({
  id,
  node,
  capability,
  readonly: false,
  context: new Map<string, string>(),
});

/** Two nodes with their servers, and a volume with content; `mark` is what a node leaves that stages it. */
export async function fenceWorld(options: Parameters<typeof clusterWithRoot>[0] = {}) {
  const gpfs = await clusterWithRoot(options);
  const a1 = serverOn(gpfs);
  const b1 = serverOn(gpfs.server('b1'), 'b1');
  const [store] = await a1.roots.all();
  await b1.roots.all();
  if (!store) throw new Error('the root is not there');
  const { id } = await a1.volumes.create(spec('v'));
  writeVolume(gpfs, 'v', 'v');
  const world = { gpfs, a1, b1, store, id };
  const key = () => imageKey(gpfs, 'v');
  const mark = async (node: string, who: Partial<Driver['host']['self']> = {}) => {
    const self = { ...a1.host.self, node, machineId: `machine-${node}`, ...who };
    await store.marks.set(key(), self);
  };
  const first = key();
  const publish = (node = 'a1', capability = block(), driver: Driver = a1) =>
    driver.attachments.publish(attaching(id, node, capability));
  return { ...world, key, mark, publish, isFenced: () => key() !== first };
}

/** Whether a node has a mark on a volume's current image. */
export const isMarked = (gpfs: Cluster, volume: string): boolean =>
  gpfs.paths().some((path) => path.includes(`/marks/`) && path.includes(imageKey(gpfs, volume)));

async function prepare(world: World, pool?: string): Promise<string> {
  const { driver, ids, gpfs } = world;
  const parameters: Readonly<Record<string, string>> = pool === undefined ? {} : { pool };
  const { id } = await driver.volumes.create(spec('v', { parameters }));
  ids.set('v', id);
  writeVolume(gpfs, 'v', 'v');
  return id;
}

const act: Scenario['act'] = async (driver, { gpfs, ids }) => {
  const id = ids.get('v') ?? '';
  await driver.attachments.publish(attaching(id, 'a1'));
  return isMarked(gpfs, 'v') ? 'attached beside another node' : 'cut off';
};

/** A volume below a snapshot, with attributes: a fence needs all of its steps. */
export const fencingWithAll: Scenario = {
  name: 'publish such a volume below a snapshot of it, with attributes',
  prepare: async (world) => {
    const id = await prepare(world, 'data');
    const cut = await world.driver.snapshots.create(snap('s', { id }));
    world.ids.set('s', cut.id);
    writeVolume(world.gpfs, 'v', 'later');
    await lose(world, 'v');
  },
  act,
  answer: 'cut off',
  after: { 'volumes/v': 'later', 'snapshots/s': 'v' },
};

/** Attaching a volume that a lost node may still write to. */
export const fencing: readonly Scenario[] = [
  {
    name: 'publish a volume that a lost node may still write to',
    prepare: async (world) => {
      await prepare(world);
      await lose(world, 'v');
    },
    act,
    answer: 'cut off',
    after: { 'volumes/v': 'v' },
  },
  fencingWithAll,
];
