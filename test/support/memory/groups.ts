import { memberId } from '../../../src/model/group.ts';
import { localIdOf, publicId, type LocalId } from '../../../src/model/ids.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { block, clusterWithRoot, mounted, serverOn, spec, type Cluster } from './driver.ts';
import type { Scenario, World } from './world.ts';
import { writeVolume } from './truth.ts';

/** A request for a group snapshot. */
export const group = (name: string, sourceVolumeIds: readonly string[]) => ({
  name,
  sourceVolumeIds,
  parameters: new Map<string, string>(),
});

/** The name that `living` has for the snapshot of a volume in a group. */
export const memberOf = (name: string, volume: string): string =>
  `snapshots/${memberId(localIdOf(name), volume as LocalId)}`;

/** Deletes a group that may be there, whatever is in it. */
export async function dropGroup(driver: Driver, name: string): Promise<void> {
  for (const store of await driver.roots.all()) {
    const held = await store.groups.read(localIdOf(name));
    const members = held?.value.members ?? [];
    await driver.groups.remove(
      publicId(store.id, localIdOf(name)),
      members.map(({ snapshot }) => publicId(store.id, snapshot)),
    );
  }
}

/** A server and some volumes, each with its name in it. */
export async function withVolumes(...names: readonly string[]) {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs);
  const ids: string[] = [];
  for (const name of names) {
    ids.push((await driver.volumes.create(spec(name, { capabilities: [block(), mounted()] }))).id);
    writeVolume(gpfs, name, name);
  }
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the root is not there');
  return { gpfs, driver, ids, store };
}

/** How many files were snapshotted. */
export const snaps = (gpfs: Cluster): number => gpfs.counts.commands.get('mmclone snap') ?? 0;

const idsOf = ({ ids }: World): readonly string[] => ['v', 'w'].map((name) => ids.get(name) ?? '');

async function twoVolumes({ driver, gpfs, ids }: World): Promise<void> {
  for (const name of ['v', 'w']) {
    ids.set(name, (await driver.volumes.create(spec(name))).id);
    writeVolume(gpfs, name, name);
  }
}

/** A group `g` of the volumes that a world has. */
async function cutGroup(driver: Driver, world: World): Promise<string> {
  const { snapshots } = await driver.groups.create(group('g', idsOf(world)));
  return snapshots.map(({ sourceVolumeId }) => sourceVolumeId.slice(9)).join(' ');
}

const removeGroup = async (driver: Driver): Promise<string> => {
  await dropGroup(driver, 'g');
  return 'done';
};

const before = { 'volumes/v': 'v', 'volumes/w': 'w' };
const both = { ...before, [memberOf('g', 'v')]: 'v', [memberOf('g', 'w')]: 'w' };

/** Operations that make and delete snapshots of several volumes at once. */
export const groupScenarios: readonly Scenario[] = [
  {
    name: 'take a group snapshot of two volumes',
    prepare: twoVolumes,
    act: cutGroup,
    answer: 'v w',
    after: both,
    unmake: (driver) => dropGroup(driver, 'g'),
  },
  {
    name: 'take a group snapshot of a name that was deleted, below an earlier one',
    prepare: async (world) => {
      await twoVolumes(world);
      await cutGroup(world.driver, world);
      await dropGroup(world.driver, 'g');
    },
    act: cutGroup,
    answer: 'v w',
    after: both,
    unmake: (driver) => dropGroup(driver, 'g'),
  },
  {
    name: 'delete a group snapshot',
    prepare: async (world) => {
      await twoVolumes(world);
      await cutGroup(world.driver, world);
    },
    act: removeGroup,
    answer: 'done',
    after: before,
  },
  {
    name: 'delete a group snapshot whose volumes are gone, one restored',
    prepare: async (world) => {
      await twoVolumes(world);
      await cutGroup(world.driver, world);
      const [store] = await world.driver.roots.all();
      const member = `${store?.id ?? ''}.${memberOf('g', 'v').slice('snapshots/'.length)}`;
      const source = { kind: 'snapshot' as const, id: member };
      await world.driver.volumes.create(spec('r', { source }));
      for (const id of idsOf(world)) await world.driver.volumes.remove(id);
    },
    act: removeGroup,
    answer: 'done',
    after: { 'volumes/r': 'v' },
  },
];
