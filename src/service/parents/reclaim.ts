import type { FileKey } from '../../model/ids.ts';
import { errnoOf } from '../../run/files.ts';
import { ignoring } from '../../store/edges.ts';
import type { RootStore } from '../../store/root.ts';
import type { ServiceHost } from '../host.ts';

/** What reclaiming uses. */
export type ReclaimHost = Pick<ServiceHost, 'log' | 'backlog'>;

/** A clone parent that stays, and how many files read through it. */
interface Staying {
  readonly key: FileKey;
  readonly children: number;
}

/**
 * Removes a hidden clone parent that nothing reads through any more, and then those above it that become childless.
 * A parent that has children, or is a snapshot, stays. Never fails: no request depends on it, so a parent that
 * cannot be removed now is put on the queue. Resolves to the hidden parent at which it stopped, if there is one.
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
 * Awaits work that may leave a clone parent childless, then reclaims the parent. Work that failed may have taken
 * effect without being repeated, so the parent is put on the queue then. So is a parent with a single child left,
 * which may absorb it.
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

/** The parent of what was removed, null where nothing is left to do, or the parent that stays. */
async function reclaimOne(
  host: ReclaimHost,
  store: RootStore,
  key: FileKey,
): Promise<FileKey | null | Staying> {
  const held = await store.hidden.read(key);
  if (!held) return null;
  if (held.value.claim) {
    // It is being redirected, and checked again after that.
    await host.backlog.add(store, key);
    return null;
  }
  const children = await store.edges.children(key);
  if (children.length > 0) {
    // Marked by a server that died before it checked the children again: a new child needs the parent.
    if (held.value.state === 'removing')
      await store.hidden.swap(key, held, { ...held.value, state: 'waiting' });
    return { key, children: children.length };
  }
  // First marked, then checked again: a child that was added in between has its edge by now.
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
 * Unlinks a clone parent that has no children in our records. False when GPFS refuses: children are still being
 * deleted in the background, or have no record.
 */
export async function unlinkParent(
  host: ReclaimHost,
  store: RootStore,
  data: 'snapshots' | 'hidden',
  key: FileKey,
): Promise<boolean> {
  try {
    // A directory has the name of a file that never came.
    await ignoring(store.files.unlink(store.layout.data(data, key)), 'ENOENT', 'EISDIR');
    return true;
  } catch (error) {
    if (!['EROFS', 'EPERM', 'EBUSY'].includes(errnoOf(error) ?? '')) throw error;
    host.log.info({ key, errno: errnoOf(error) }, 'a clone parent cannot be removed yet');
    await host.backlog.add(store, key);
    return false;
  }
}
