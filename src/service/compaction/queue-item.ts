import type { FileKey, LocalId } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { ServiceHost } from '../host.ts';
import { reclaim, type ReclaimHost } from '../parents/reclaim.ts';
import { isFewChildren } from './chain.ts';
import { consider, endLostClaim, type CheckOutcome, type CompactionHost } from './consider.ts';
import { headWith, volumeHead, type Head } from './heads.ts';

/** Checks one item: the id of a volume, or the key of a clone parent to remove or to absorb. */
export const checkItem = (
  host: CompactionHost,
  store: RootStore,
  name: string,
): Promise<CheckOutcome> =>
  name.includes('.')
    ? checkParent(host, store, name as FileKey)
    : checkVolume(host, store, name as LocalId);

async function checkVolume(
  host: CompactionHost,
  store: RootStore,
  id: LocalId,
): Promise<CheckOutcome> {
  const held = await store.volumes.read(id);
  if (held?.value.state === 'creating')
    return { kind: 'failed', why: `volume ${id} is being created` };
  return consider(host, store, () => volumeHead(store, id));
}

async function checkParent(
  host: CompactionHost,
  store: RootStore,
  key: FileKey,
): Promise<CheckOutcome> {
  const own = await headWith(store, key);
  const claimed = own && (await endLostClaim(host, store, own, () => headWith(store, key)));
  if (claimed) return claimed;
  const children = await store.edges.children(key);
  if (children.length === 0) return removeChildless(host, store, key);
  const moved = await considerParent(host, store, key);
  if (moved.kind !== 'done') return moved;
  if (!isFewChildren(children) || !(await store.hidden.read(key))) return { kind: 'done' };
  return checkChildren(host, store, children);
}

async function checkChildren(
  host: CompactionHost,
  store: RootStore,
  children: readonly FileKey[],
): Promise<CheckOutcome> {
  for (const child of children) {
    const outcome = await considerParent(host, store, child);
    if (outcome.kind !== 'done') return outcome;
    await announceReader(host, store, child);
  }
  return { kind: 'done' };
}

/** Checks a clone parent itself, where this GPFS redirects them. */
const considerParent = (
  host: CompactionHost,
  store: RootStore,
  key: FileKey,
): Promise<CheckOutcome> => consider(host, store, () => parentHead(store, key));

const parentHead = async (store: RootStore, key: FileKey): Promise<Head | undefined> => {
  const head = await headWith(store, key);
  return head?.volume ? undefined : head;
};

/**
 * Puts the volume that reads through this file on the queue, where it is the only one: a detach finds it there by
 * its id.
 */
async function announceReader(
  host: Pick<ServiceHost, 'backlog'>,
  store: RootStore,
  first: FileKey,
): Promise<void> {
  const seen = new Set<FileKey>();
  for (let key: FileKey | undefined = first; key !== undefined && !seen.has(key);) {
    seen.add(key);
    const children: readonly FileKey[] = await store.edges.children(key);
    const head = children.length === 0 ? await headWith(store, key) : undefined;
    if (head?.volume) await host.backlog.add(store, head.id);
    key = children.length === 1 ? children[0] : undefined;
  }
}

async function removeChildless(
  host: ReclaimHost,
  store: RootStore,
  key: FileKey,
): Promise<CheckOutcome> {
  await reclaim(host, store, key);
  const held = await store.hidden.read(key);
  if (!held) return { kind: 'done' };
  return { kind: 'failed', why: `GPFS does not remove clone parent ${key} yet` };
}
