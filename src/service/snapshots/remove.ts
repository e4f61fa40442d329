import type { ServiceHost } from '../host.ts';
import { underClaim } from '../claims/claims.ts';
import { requireOwnFile } from '../parents/ownership.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { settleSnapshot } from '../claims/settle.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import { asDeleted } from '../claims/own-claim.ts';
import { reclaimAfter, unlinkParent, type ReclaimHost } from '../parents/reclaim.ts';
import { namedBy } from '../../model/kubernetes.ts';
import { sectorsOf } from '../../model/sectors.ts';

type RemovalHost = ReclaimHost & Pick<ServiceHost, 'clock'>;

/** Deletes a snapshot; a missing one is success. Its file stays as a tombstone while children read through it. */
export async function removeSnapshot(
  host: ServiceHost,
  { store, local }: PlacedObject,
): Promise<void> {
  const held = await settleSnapshot(host, store, local);
  if (held?.value.state !== 'ready') return;
  await requireOwnFile(store, held.value);
  // Once it is marked no server clones it any more; a clone that was begun before has its edge by then.
  const marking = { held, plan: { op: 'delete' }, during: { state: 'deleting' } } as const;
  await underClaim(host.claims, store.snapshots, marking, (marked) =>
    finishSnapshotRemoval(host, store, marked),
  );
}

/** Ends the deletion of a snapshot, from any point where it stopped. */
export async function finishSnapshotRemoval(
  host: RemovalHost,
  store: RootStore,
  held: Held<SnapshotRecord>,
): Promise<Held<SnapshotRecord>> {
  const { file, parent } = held.value;
  if (!file) throw new Error(`snapshot ${held.id} has no file`);
  const { key } = file;
  // An import that failed has no inode to compare: its claim names the file, whose key is used but once.
  if (held.value.state === 'deleting') await requireOwnFile(store, held.value);
  const children = (await store.edges.children(key)).length;
  const unlinked = children === 0 && (await unlinkParent(host, store, 'snapshots', key));
  if (!unlinked) {
    await leaveTombstone(host, store, held.value, children);
    // Each time, also where the tombstone is there already: perhaps it never got on the queue.
    await host.backlog.add(store, key);
  } else if (parent !== null) await store.edges.remove(parent, key);
  const gone = asDeleted(host, held.value);
  const next = unlinked ? parent : key;
  return reclaimAfter(host, store, next, store.snapshots.swap(held.id, held, gone, 'name'));
}

/** Makes a tombstone of a snapshot's file: the id is free again, the blocks stay for the files that need them. */
async function leaveTombstone(
  { log }: Pick<ServiceHost, 'log'>,
  store: RootStore,
  snapshot: SnapshotRecord,
  children: number,
): Promise<void> {
  const { file } = snapshot;
  if (!file || (await store.hidden.read(file.key))) return;
  const tombstone: HiddenRecord = {
    format: recordFormat,
    id: file.key,
    why: 'tombstone',
    state: 'waiting',
    data: 'snapshots',
    parent: snapshot.parent,
    ...(snapshot.depth === undefined ? {} : { depth: snapshot.depth }),
    bytes: snapshot.bytes,
    content: snapshot.content,
    ...namedBy(snapshot.kubernetes),
    ...sectorsOf(snapshot),
    createdMs: snapshot.createdMs,
    claim: null,
  };
  await store.hidden.swap(file.key, undefined, tombstone, 'name');
  // Without children it was GPFS that refused to remove the file, which has a log line of its own.
  if (children > 0)
    log.info(
      { snapshot: snapshot.id, key: file.key, children },
      'a snapshot is deleted; its file stays as a tombstone while other files read through it',
    );
}

/** Ends an interrupted import of an image: its file is removed, or stays while the original file reads through it. */
export async function endImport(
  host: RemovalHost,
  store: RootStore,
  held: Held<SnapshotRecord>,
): Promise<Held<SnapshotRecord>> {
  const key = held.value.claim?.image;
  if (!key) throw new Error(`image ${held.id} has no claim on a file`);
  const file = { key, inode: 0n };
  return finishSnapshotRemoval(host, store, { ...held, value: { ...held.value, file } });
}
