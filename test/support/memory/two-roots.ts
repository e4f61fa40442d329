import type { Driver } from '../../../src/service/driver.ts';
import { sweepMs, sweepRoot } from '../../../src/service/maintenance.ts';
import { goneAfterMs } from '../../../src/store/nodes.ts';
import { clusterWithRoot, serverOn, testRoot, type Cluster } from './driver.ts';

/** The root beside the usual one. */
export const other = `${testRoot}-2`;
/** Both roots. */
export const roots = [testRoot, other];

/** A cluster whose server has both roots open. */
export const twoRoots = async () => {
  const gpfs = await clusterWithRoot();
  await gpfs.files.makeDirectory(other, 0o750);
  const driver = serverOn(gpfs, 'a1', { roots });
  const [home, away] = await driver.roots.all();
  if (!home || !away) throw new Error('no roots');
  return { gpfs, driver, home, away, ...driver };
};

/** Files of volumes and snapshots in a root. */
export const filesIn = (gpfs: Cluster, root: string): readonly string[] =>
  gpfs.paths().filter((path) => path.startsWith(`${root}/`) && !path.includes('/.gpfs-csi/'));

/** Every other server is silent by then, and every root is due to be swept. */
export async function sweepAll(gpfs: Cluster, { roots: all, host }: Driver): Promise<void> {
  gpfs.clock.tick(Math.max(sweepMs, goneAfterMs) + 1);
  for (const store of await all.all()) await store.nodes.beat(host.self.node);
  for (const store of await all.all()) await sweepRoot(host, store);
}
