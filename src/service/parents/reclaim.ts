import type { FileKey } from '../../model/ids.ts';
import { errnoOf } from '../../run/files.ts';
import { ignoring } from '../../store/edges.ts';
import type { RootStore } from '../../store/root.ts';
import type { ServiceHost } from '../host.ts';

/** What reclaiming stands on. */
export type ReclaimHost = Pick<ServiceHost, 'log' | 'backlog'>;

/** A clone parent that stays, and how many read through it. */
interface Staying {
  readonly key: FileKey;
  readonly children: number;
}

/**
 * Removes a hidden clone parent that nothing reads through any more, and then those above it that this
 * leaves childless, all in one pass. What still has children, or belongs to a user, stays. Never fails: no
 * request depends on it, so where it cannot go on it is put on the queue. Resolves to the hidden parent that ended
 * the pass, if one did.
 */
export async function reclaim(
  host: ReclaimHost,
  store: RootStore,
  first: FileKey,
): Promise<Staying | undefined> {
  let key: FileKey | null = first;
  try {
    while (key !== null) {
      const next: FileKey | null | Staying = await reclaimOne(host, store, key);
      if (next !== null && typeof next === 'object') return next;
      key = next;
    }
  } catch (error) {
    host.log.info({ key, error }, 'a clone parent could not be reclaimed now');
    await host.backlog.add(store, key ?? first);
  }
  return undefined;
}

/**
 * Does what leaves a clone parent perhaps childless, then reclaims. A failed write may have taken effect, and
 * then nobody asks for it again, so the parent is put on the queue. So is one that has a single child left, which
 * may absorb it.
 */
export async function reclaimAfter<T>(
  host: ReclaimHost,
  store: RootStore,
  parent: FileKey | null,
  work: Promise<T>,
): Promise<T> {
  try {
    const done = await work;
    const stays = parent === null ? undefined : await reclaim(host, store, parent);
    if (stays?.children === 1) await host.backlog.add(store, stays.key);
    return done;
  } catch (error) {
    if (parent !== null) await host.backlog.add(store, parent);
    throw error;
  }
}

/** The parent of what was removed, null where nothing is left to do, or what stays. */
async function reclaimOne(
  host: ReclaimHost,
  store: RootStore,
  key: FileKey,
): Promise<FileKey | null | Staying> {
  const held = await store.hidden.read(key);
  if (!held) return null;
  if (held.value.claim) {
    // It is being redirected, and looked at again when that ends.
    await host.backlog.add(store, key);
    return null;
  }
  const children = await store.edges.children(key);
  if (children.length > 0) {
    // Marked by a server that died before it looked again: a child came between, and needs it.
    if (held.value.state === 'removing')
      await store.hidden.swap(key, held, { ...held.value, state: 'waiting' });
    return { key, children: children.length };
  }
  // Marked first, looked at again afterwards: a child that came between has its edge by now.
  const marked = await store.hidden.swap(key, held, { ...held.value, state: 'removing' });
  const free = (await store.edges.children(key)).length === 0;
  if (!free || !(await unlinkParent(host, store, held.value.data, key))) {
    await store.hidden.swap(key, marked, { ...marked.value, state: 'waiting' });
    return null;
  }
  const { parent, why } = marked.value;
  host.log.info({ key, why }, 'removed a clone parent that nothing reads through any more');
  if (parent !== null) await store.edges.remove(parent, key);
  await store.hidden.forget(marked).catch(() => host.backlog.add(store, key));
  return parent;
}

/**
 * Unlinks a clone parent without children of ours; false when GPFS refuses: children of it are still being
 * deleted in the background, or are unknown to us.
 */
export async function unlinkParent(
  host: ReclaimHost,
  store: RootStore,
  data: 'snapshots' | 'hidden',
  key: FileKey,
): Promise<boolean> {
  try {
    await ignoring(store.files.unlink(store.layout.data(data, key)), 'ENOENT');
    return true;
  } catch (error) {
    if (!['EROFS', 'EPERM', 'EBUSY'].includes(errnoOf(error) ?? '')) throw error;
    host.log.info({ key, errno: errnoOf(error) }, 'a clone parent cannot be removed yet');
    await host.backlog.add(store, key);
    return false;
  }
}
