import type { FileKey } from '../model/ids.ts';
import { errnoOf } from '../run/files.ts';
import { ignoring } from '../store/edges.ts';
import type { RootStore } from '../store/root.ts';
import type { ServiceHost } from './host.ts';

/**
 * Removes a hidden clone parent that nothing reads through any more, and then those above it that this
 * leaves childless, all in one pass. What still has children, or belongs to a user, stays. Never fails: no
 * request depends on it, so where it cannot go on it is remembered for the next round of maintenance.
 */
export async function reclaim(host: ServiceHost, store: RootStore, first: FileKey): Promise<void> {
  let key: FileKey | null = first;
  try {
    while (key !== null) key = await reclaimOne(host, store, key);
  } catch (error) {
    host.refused.set(key ?? first, store);
    host.log.info({ key, error }, 'a clone parent could not be reclaimed now');
  }
}

/**
 * Does what leaves a clone parent perhaps childless, then reclaims. A failed write may have taken effect, and
 * then nobody asks for it again, so the parent is remembered.
 */
export async function reclaimAfter<T>(
  host: ServiceHost,
  store: RootStore,
  parent: FileKey | null,
  work: Promise<T>,
): Promise<T> {
  try {
    const done = await work;
    if (parent !== null) await reclaim(host, store, parent);
    return done;
  } catch (error) {
    if (parent !== null) host.refused.set(parent, store);
    throw error;
  }
}

/** The parent of what was removed, or null when nothing was. */
async function reclaimOne(
  host: ServiceHost,
  store: RootStore,
  key: FileKey,
): Promise<FileKey | null> {
  const held = await store.hidden.read(key);
  if (!held || (await store.edges.children(key)).length > 0) return null;
  // Marked first, looked at again afterwards: a child that came between has its edge by now.
  const marked = await store.hidden.swap(key, held, { ...held.value, state: 'removing' });
  const free = (await store.edges.children(key)).length === 0;
  if (!free || !(await unlinkParent(host, store, held.value.data, key))) {
    await store.hidden.swap(key, marked, { ...marked.value, state: 'waiting' });
    return null;
  }
  const { parent } = marked.value;
  if (parent !== null) await store.edges.remove(parent, key);
  await store.hidden.forget(marked).catch(() => host.refused.set(key, store));
  return parent;
}

/**
 * Unlinks a clone parent without children of ours; false when GPFS refuses: children of it are still being
 * deleted in the background, or are unknown to us.
 */
export async function unlinkParent(
  host: ServiceHost,
  store: RootStore,
  data: 'snapshots' | 'hidden',
  key: FileKey,
): Promise<boolean> {
  try {
    await ignoring(store.files.unlink(store.layout.data(data, key)), 'ENOENT');
    return true;
  } catch (error) {
    if (!['EROFS', 'EPERM', 'EBUSY'].includes(errnoOf(error) ?? '')) throw error;
    host.refused.set(key, store);
    host.log.info({ key, errno: errnoOf(error) }, 'a clone parent cannot be removed yet');
    return false;
  }
}

/** Looks at every hidden clone parent of a root: what an earlier pass had to leave, or did not get to. */
export async function reclaimAll(host: ServiceHost, store: RootStore): Promise<void> {
  for (const shard of await store.hidden.shards())
    for (const key of (await store.hidden.ids(shard)).keys())
      await reclaim(host, store, key as FileKey);
}
