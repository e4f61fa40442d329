import type { DataRef } from '../../model/clone-tree.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { asDeleted } from '../claims/own-claim.ts';
import { reclaimSource, removeSourceEdge } from './fill.ts';
import type { ServiceHost } from '../host.ts';
import { reclaimAfter } from '../parents/reclaim.ts';
import { removeUnfinished } from '../claims/bar.ts';

/** Undoes a volume that was never finished: removes its file and its edge, and frees its name. */
export async function undoVolume(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const { claim, parent } = held.value;
  const hasSource = await isSourceHere(host, held.value);
  if (claim?.image) {
    const image: DataRef = { data: 'volumes', key: claim.image };
    await removeUnfinished(store, image);
    if (parent !== null) await store.edges.remove(parent, image.key);
    if (hasSource) await removeSourceEdge(host, store, held.value, image);
  }
  const gone = { ...asDeleted(host, held.value), image: null, parent: null };
  const undone = await reclaimAfter(
    host,
    store,
    parent,
    store.volumes.swap(held.id, held, gone, 'name'),
  );
  if (hasSource) await reclaimSource(host, held.value);
  return undone;
}

/** False where the root of the source is not configured: its edge stays there, which keeps one file too many. */
async function isSourceHere(
  { roots, log }: Pick<ServiceHost, 'log' | 'roots'>,
  record: VolumeRecord,
): Promise<boolean> {
  const from = record.claim?.fill?.from;
  // For a root that is only away this throws, and the next request tries again.
  if (!from || (await roots.all()).some(({ id }) => id === from.root)) return true;
  const { root, key } = from;
  log.warn(
    { volume: record.id, root, key },
    'the source of a copy lies in a root that is not configured here, and may stay there',
  );
  return false;
}
