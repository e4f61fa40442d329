import { growForest, type Forest, type ForestNode } from '../../model/forest/forest.ts';
import type { QueueState } from '../../model/forest/words.ts';
import { readForest, readQueue } from '../../service/forest/forest.ts';
import type { RootStore } from '../../store/root.ts';
import type { RootHost } from '../command/root-flags.ts';

/** A root as it was read for people. */
export interface ReadRoot {
  readonly store: RootStore;
  readonly forest: Forest<ForestNode>;
  readonly problems: readonly string[];
  /** Work on the clone trees that is left, with the reasons of what waits. */
  readonly queue: QueueState;
}

/** Opens roots one after another. Throws unavailable or misconfigured. */
export async function openRoots(
  host: Pick<RootHost, 'open'>,
  paths: readonly string[],
): Promise<readonly RootStore[]> {
  const stores: RootStore[] = [];
  for (const path of paths) stores.push(await host.open(path));
  return stores;
}

/** Reads all files of roots, one root after another; what cannot be read is in their `problems`. */
export async function readRoots(stores: Iterable<RootStore>): Promise<readonly ReadRoot[]> {
  const roots: ReadRoot[] = [];
  for (const store of stores) roots.push(await readRoot(store));
  return roots;
}

async function readRoot(store: RootStore): Promise<ReadRoot> {
  const problems: string[] = [];
  const onUnreadable = ({ message }: Error) => problems.push(`gpfs-csi: ${message}`);
  const files = await readForest(store, (file) => file, { onUnreadable });
  return { store, forest: growForest(files), problems, queue: await readQueue(store) };
}
