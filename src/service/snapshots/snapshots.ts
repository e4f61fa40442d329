import { invalid } from '../../model/fault.ts';
import { parseId, publicId } from '../../model/ids.ts';
import { positionOf } from '../../model/page-token.ts';
import type { Page, Paged, Snapshot } from '../../model/volume.ts';
import type { RootStore } from '../../store/root.ts';
import type { GroupRecord } from '../../store/schema/groups.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import type { Snapshots } from '../api.ts';
import { removeSnapshot } from './remove.ts';
import type { ServiceHost } from '../host.ts';
import { listPage } from '../pages.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { stopIfLeft } from '../claims/patience.ts';
import { snapshotMissing } from '../claims/settle.ts';
import { createSnapshot, type FoundSnapshot } from './create.ts';

/** Snapshots, as the controller serves them. */
export const snapshotsOf = (host: ServiceHost): Snapshots => ({
  create: async (spec) => shown(await createSnapshot(host, spec)),
  remove: (id) => remove(host, id),
  get: (id) => find(host, id),
  list: (filter, page) => list(host, filter, page),
});

/** The snapshot as callers see it, ready. Throws snapshot-missing. */
async function find(host: RootsHost, id: string): Promise<Snapshot> {
  const snapshot = await lookUp(host, id);
  if (snapshot) return snapshot;
  throw snapshotMissing(id);
}

type RootsHost = Pick<ServiceHost, 'roots'>;

async function lookUp({ roots }: RootsHost, id: string): Promise<Snapshot | undefined> {
  const place = await roots.byId(id);
  const held = place && (await place.store.snapshots.read(place.local));
  return place && held ? shownReady(place.store, held.value) : undefined;
}

/** A snapshot as callers see it, perhaps one of a group. */
export const shown = (
  { store, record }: FoundSnapshot,
  group?: Pick<GroupRecord, 'id'>,
): Snapshot => ({
  id: publicId(store.id, record.id),
  sourceVolumeId: record.handle ?? publicId(store.id, record.volume),
  bytes: record.bytes,
  createdMs: record.createdMs,
  ready: true,
  ...(group ? { groupId: publicId(store.id, group.id) } : {}),
});

type Filter = Parameters<Snapshots['list']>[0];

async function list(host: RootsHost, filter: Filter, page: Page): Promise<Paged<Snapshot>> {
  if (filter.id === '') return listAll(host, filter.sourceVolumeId, page);
  positionOf('snapshots', page.token);
  const found = page.token === '' ? await lookUp(host, filter.id) : undefined;
  return { items: found && isOf(found, filter.sourceVolumeId) ? [found] : [], next: '' };
}

const isOf = ({ sourceVolumeId }: Snapshot, wanted: string): boolean =>
  wanted === '' || sourceVolumeId === wanted;

async function listAll(host: RootsHost, source: string, page: Page): Promise<Paged<Snapshot>> {
  const stores = await host.roots.all();
  const wanted = source === '' ? undefined : parseId(source);
  const entry = async (store: RootStore, record: SnapshotRecord) => {
    const snapshot = await shownReady(store, record);
    return snapshot && isOf(snapshot, source) ? snapshot : undefined;
  };
  return listPage(
    { list: 'snapshots', records: (store) => store.snapshots, entry, stopIfLeft },
    // A volume that moved has snapshots in each root that it was in.
    source !== '' && !wanted ? [] : stores,
    page,
  );
}

/** Undefined while it is being taken, alone or in a group: nobody could use it, and it may still be undone. */
async function shownReady(store: RootStore, record: SnapshotRecord): Promise<Snapshot | undefined> {
  if (record.state !== 'ready') return undefined;
  const group = await groupWith(store, record);
  return group && group.state !== 'ready' ? undefined : shown({ store, record }, group);
}

/** The group of a snapshot, if there is one. A snapshot whose group was lost is a snapshot like others. */
async function groupWith(
  store: RootStore,
  record: SnapshotRecord,
): Promise<GroupRecord | undefined> {
  const group = record.group && (await store.groups.read(record.group.id))?.value;
  return group && group.state !== 'deleted' && isMember(group, record) ? group : undefined;
}

/** Deletes a snapshot; a missing one is success. */
async function remove(host: ServiceHost, id: string): Promise<void> {
  const place = await host.roots.byId(id);
  if (!place) return;
  await refuseMember(place);
  await removeSnapshot(host, { ...place, store: place.store.freeing });
}

async function refuseMember({ store, local }: PlacedObject): Promise<void> {
  const held = await store.snapshots.read(local);
  const group =
    held?.value.state === 'deleted' ? undefined : held && (await groupWith(store, held.value));
  if (group)
    throw invalid(
      'snapshot_id',
      `names a snapshot of group snapshot ${group.id}, which can only be deleted as a whole; delete the VolumeGroupSnapshot`,
    );
}

/** Whether a snapshot was taken by the attempt that made this group. */
export const isMember = (
  { id, attempt }: Pick<GroupRecord, 'id' | 'attempt'>,
  { group }: Pick<SnapshotRecord, 'group'>,
): boolean => group?.id === id && group.attempt === attempt;
