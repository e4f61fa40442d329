import { DriverError } from '../../model/fault.ts';
import { parseId } from '../../model/ids.ts';
import { ignoring } from '../../store/edges.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { asDeleted } from './deleted.ts';
import type { ServiceHost } from '../host.ts';
import { requireOwnFile, requireOwnImage } from '../ownership.ts';
import { imageOf, pathOf } from '../claims/data-files.ts';
import { reclaimAfter, unlinkParent } from './reclaim.ts';
import { sectorsOf } from '../sectors.ts';

/** Ends a deletion that a record announces, from any point it stopped at; busy where the volume only moved. */
export async function finishVolumeRemoval(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const gone = await takeAway(host, store, held);
  const { id, claim } = held.value;
  if (claim?.movedTo === undefined) return gone;
  // Whoever asked must not take it for deleted: its handle leads to the other root from now on.
  throw new DriverError('busy', `volume ${id} was moved to another root just now; try again`);
}

/** Removes the image of a volume that is deleted, or that has moved; the handle of the latter leads there first. */
export async function takeAway(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const { parent } = held.value;
  const image = imageOf(held.value);
  await leadAway(host, store, held.value);
  await requireOwnImage(store, held.value);
  await ignoring(store.files.unlink(pathOf(store, image)), 'ENOENT');
  if (parent !== null) await store.edges.remove(parent, image.key);
  const gone = asDeleted(host, held.value);
  return reclaimAfter(host, store, parent, store.volumes.swap(held.id, held, gone, 'name'));
}

/** From here on the handle of a volume that moved leads to where it is. */
async function leadAway(
  { roots }: ServiceHost,
  store: RootStore,
  { id, claim }: VolumeRecord,
): Promise<void> {
  if (claim?.movedTo === undefined) return;
  const { movedTo } = claim;
  const target = (await roots.all()).find((each) => each.id === parseId(movedTo)?.root);
  if (!target)
    throw new DriverError(
      'unavailable',
      `volume ${id} was moved to ${movedTo}, whose root is not configured here; add it`,
    );
  // First, or the two roots would point at each other: were it there before, it must not be sent away again.
  await target.moved.clear(id);
  await store.moved.set(id, movedTo);
}

/** Ends the deletion of a snapshot, from any point it stopped at. */
export async function finishSnapshotRemoval(
  host: ServiceHost,
  store: RootStore,
  held: Held<SnapshotRecord>,
): Promise<Held<SnapshotRecord>> {
  const { file, parent } = held.value;
  if (!file) throw new Error(`snapshot ${held.id} has no file`);
  const { key } = file;
  // An import that failed has no inode to compare: its claim names the file, whose key is used but once.
  if (held.value.state === 'deleting') await requireOwnFile(store, held.value);
  const childless = (await store.edges.children(key)).length === 0;
  const unlinked = childless && (await unlinkParent(host, store, 'snapshots', key));
  if (!unlinked) {
    await bury(store, held.value);
    // Not in bury: a repetition finds the tombstone there, and nobody may have heard of it.
    await host.backlog.add(store, key);
  } else if (parent !== null) await store.edges.remove(parent, key);
  const gone = asDeleted(host, held.value);
  const next = unlinked ? parent : key;
  return reclaimAfter(host, store, next, store.snapshots.swap(held.id, held, gone, 'name'));
}

/** Makes a tombstone of a snapshot's file: the id is free again, the blocks stay for those who need them. */
async function bury(store: RootStore, snapshot: SnapshotRecord): Promise<void> {
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
    ...sectorsOf(snapshot),
    createdMs: snapshot.createdMs,
    claim: null,
  };
  await store.hidden.swap(file.key, undefined, tombstone, 'name');
}

/** Ends the import of an image that stopped somewhere: its file goes, or stays while its origin reads through it. */
export async function endImport(
  host: ServiceHost,
  store: RootStore,
  held: Held<SnapshotRecord>,
): Promise<Held<SnapshotRecord>> {
  const key = held.value.claim?.image;
  if (!key) throw new Error(`image ${held.id} has no claim on a file`);
  const file = { key, inode: 0n };
  return finishSnapshotRemoval(host, store, { ...held, value: { ...held.value, file } });
}
