import type { RootId } from '../../../src/model/ids.ts';
import { rootTopology, type Segments } from '../../../src/model/topology.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { nodeTopology } from '../../../src/service/roots/topology.ts';
import { serverOn } from './driver.ts';
import { fileSystems } from './filesystems.ts';

/** What a driver says of the mounts of its nodes. */
export const topology = rootTopology('gpfs-clone.csi');

/** How many file systems there are, each with a root. */
export const count = 3;

/** All of them. */
export const everyOne = [0, 1, 2];

/** A cluster whose node `all` has every file system, as the sidecars' node must. */
export async function cluster() {
  const systems = await fileSystems(count);
  const { roots } = systems;
  const start = (node: string, which: readonly number[]): Driver => {
    systems.mount(node, which);
    return serverOn(systems.on(node), node, { roots, topology });
  };
  const driver = start('all', everyOne);
  const ids = (await driver.roots.all()).map(({ id }) => id);
  const key = (n: number) => topology.keyOf(ids[n] ?? ('' as RootId));
  return { systems, start, driver, key, roots };
}

/** What the kubelet would make labels of. */
export async function labelsOf(driver: Driver): Promise<Segments> {
  const node = nodeTopology(topology, driver.host.clock);
  node.update((await driver.survey()).usable);
  return new Map(Object.entries(await node.here()));
}
