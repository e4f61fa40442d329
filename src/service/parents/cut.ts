import { planSnap, type DataRef } from '../../model/clone-tree.ts';
import type { FileKey } from '../../model/ids.ts';
import type { FileStat } from '../../run/files.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat, type Content } from '../../store/schema/data.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { isTooDeep } from './depth.ts';
import type { ServiceHost } from '../host.ts';
import { deeper, endClaim, requireClaim } from '../claims/own-claim.ts';
import { namedBy } from '../../model/kubernetes.ts';
import { sectorsOf } from '../../model/sectors.ts';
import { heldBytes, imageOf, pathOf, statOf } from '../claims/data-files.ts';
import { perform } from '../claims/steps.ts';
import { parentRecord } from './record.ts';

/** A volume whose record carries a claim to put a clone parent above its image. */
export type CuttingVolume = Held<VolumeRecord>;

/** The file of the clone parent that a claim announces: a snapshot's file, or a hidden one. */
function claimedParent(record: VolumeRecord): DataRef {
  const { claim } = record;
  if (!claim?.parent) throw new Error(`volume ${record.id} has no claim on a clone parent`);
  return { data: claim.op === 'snapshot' ? 'snapshots' : 'hidden', key: claim.parent };
}

/** Puts the clone parent that a claim announces above the image, and ends the claim. */
export async function cutParent(
  host: Pick<ServiceHost, 'commands' | 'compaction' | 'backlog'>,
  store: RootStore,
  claimed: CuttingVolume,
): Promise<void> {
  const unchanged = await noNodeCanWrite(store, claimed.value);
  await makeParent(host, store, claimed);
  await endCut(host, store, claimed, { unchanged });
}

/** Makes the parent that a claim announces: first the edges, then the command. */
async function makeParent(
  host: Pick<ServiceHost, 'commands'>,
  store: RootStore,
  { value }: CuttingVolume,
): Promise<void> {
  const parent = claimedParent(value);
  const steps = planSnap(imageOf(value), parent, value.parent);
  await perform(store, host.commands, steps);
}

/**
 * Whether no node can write to the image while the claim is there: it is attached to none, and none left a mark.
 * Asked only before the parent is cut: later a node may have written, and have been detached since.
 */
async function noNodeCanWrite(store: RootStore, record: VolumeRecord): Promise<boolean> {
  if (record.attachments.length > 0) return false;
  return (await store.marks.of(imageOf(record).key)).length === 0;
}

/**
 * Ends the cut of a clone parent, from any point where it stopped. Where the parent's file exists, `mmclone snap`
 * took effect (it is one transaction) and the records are completed; otherwise all is undone. Resolves to the
 * volume without the claim. `unchanged`: the image could not change since the parent was cut.
 */
export async function endCut(
  host: Pick<ServiceHost, 'backlog' | 'compaction'>,
  store: RootStore,
  volume: CuttingVolume,
  { unchanged }: { readonly unchanged: boolean },
): Promise<Held<VolumeRecord>> {
  const parent = claimedParent(volume.value);
  const stat = await statOf(store, pathOf(store, parent));
  if (!stat) return dropParent(store, volume);
  // Before the claim is removed: a worker that checks too early finds it and checks again, and no failure can lose
  // the item.
  await announceCut(host, store, volume.value, parent);
  await recordCut(store, volume, stat);
  const { key, data } = parent;
  const lastCut = data === 'hidden' ? { lastCut: key } : {};
  return endClaim(store, volume, (now) => ({ parent: key, unchanged, ...lastCut, ...deeper(now) }));
}

/**
 * Puts on the queue what is too deep from now on, and what hangs on a parent that holds nothing. The new parent has an
 * item of its own: it can be moved while the volume is in use.
 */
async function announceCut(
  host: Pick<ServiceHost, 'backlog' | 'compaction'>,
  store: RootStore,
  value: VolumeRecord,
  parent: DataRef,
): Promise<void> {
  const depth = (value.depth ?? 0) + 1;
  const deep = depth > host.compaction.maxDepth / 2;
  if (deep || (await isParentEmpty(store, value))) await host.backlog.add(store, parent.key);
  if (deep || isTooDeep(depth, value) || (await isEmpty(store, parent)))
    await host.backlog.add(store, value.id);
}

async function isParentEmpty(store: RootStore, { parent }: VolumeRecord): Promise<boolean> {
  const above = parent === null ? undefined : await parentRecord(store, parent);
  return above !== undefined && isEmpty(store, above.ref);
}

/** Whether a file holds no blocks, as far as this node knows. One that cannot be asked is found at the next cut. */
const isEmpty = async (store: RootStore, ref: DataRef): Promise<boolean> =>
  (await heldBytes(store, ref).catch(() => 1n)) === 0n;

/**
 * Writes the record of a parent that was cut, and removes the edge from the image's old parent. Throws busy where the claim
 * was taken over: then another server does that.
 */
export async function recordCut(
  store: RootStore,
  { id, value }: CuttingVolume,
  stat: FileStat,
): Promise<void> {
  // Read after the cut: while the claim is there, no other operation changes what is recorded now.
  const now = (await store.volumes.read(id))?.value;
  requireClaim(now, value);
  await recordParent(store, { ...value, content: contentAtCut(value, now) }, stat);
  if (value.parent === null || value.parent === claimedParent(value).key) return;
  // Done while the claim is still there: no server looks for this edge later.
  requireClaim((await store.volumes.read(id))?.value, value);
  await store.edges.remove(value.parent, imageOf(value).key);
}

async function recordParent(store: RootStore, volume: VolumeRecord, stat: FileStat): Promise<void> {
  const parent = claimedParent(volume);
  if (await completeSnapshot(store, volume, stat)) return;
  if (await store.hidden.read(parent.key)) return;
  const ofSnapshot = parent.data === 'snapshots';
  const record: HiddenRecord = {
    format: recordFormat,
    id: parent.key,
    // It was cut for a snapshot that is deleted by now, or for a fence: nobody asked to keep it.
    why: volume.claim?.op === 'clone' ? 'clone' : 'tombstone',
    state: 'waiting',
    data: ofSnapshot ? 'snapshots' : 'hidden',
    parent: volume.parent,
    ...depthOf(volume),
    bytes: stat.size,
    content: volume.content,
    ...namedBy(volume.kubernetes),
    ...sectorsOf(volume),
    createdMs: sinceMs(volume),
    claim: null,
  };
  await store.hidden.swap(parent.key, undefined, record, 'name');
}

/**
 * What a parent holds whose node may have been formatting the volume during the cut. A mkfs that has not ended can
 * be repeated. After one that ended at about that time there may be data, so no node formats such a volume again.
 */
function contentAtCut(before: VolumeRecord, { content: after }: VolumeRecord): Content {
  const unclear = after.kind !== before.content.kind && after.kind !== 'formatting';
  return unclear ? { kind: 'unknown' } : after;
}

const depthOf = ({ depth }: VolumeRecord) => (depth === undefined ? {} : { depth });

const sinceMs = ({ claim }: VolumeRecord): number => claim?.sinceMs ?? 0;

/** Makes the snapshot ready that the parent was cut for; false when no snapshot waits for it. */
async function completeSnapshot(
  store: RootStore,
  volume: VolumeRecord,
  stat: FileStat,
): Promise<boolean> {
  const parent = claimedParent(volume).key;
  const id = volume.claim?.snapshot;
  const held = id === undefined ? undefined : await store.snapshots.read(id);
  if (held?.value.file?.key === parent) return true;
  if (!held || !isWaitingFor(held.value, parent)) return false;
  const ready: SnapshotRecord = {
    ...held.value,
    state: 'ready',
    bytes: stat.size,
    content: volume.content,
    file: { key: parent, inode: stat.inode },
    parent: volume.parent,
    ...depthOf(volume),
    createdMs: sinceMs(volume),
    claim: null,
  };
  await store.snapshots.swap(held.id, held, ready, 'name');
  return true;
}

const isWaitingFor = ({ state, claim }: SnapshotRecord, parent: FileKey): boolean =>
  state === 'creating' && claim?.image === parent;

async function dropParent(store: RootStore, volume: CuttingVolume): Promise<Held<VolumeRecord>> {
  const { value } = volume;
  const parent = claimedParent(value).key;
  await store.edges.remove(parent, imageOf(value).key);
  if (value.parent !== null) await store.edges.remove(value.parent, parent);
  return endClaim(store, volume, () => ({}));
}
