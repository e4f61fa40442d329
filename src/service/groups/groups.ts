import { DriverError, invalid } from '../../model/fault.ts';
import { isSameSet } from '../../model/group.ts';
import { publicId } from '../../model/ids.ts';
import type { SnapshotGroup } from '../../model/volume.ts';
import type { RootStore } from '../../store/root.ts';
import type { GroupRecord } from '../../store/schema/groups.ts';
import type { SnapshotGroups } from '../api.ts';
import { underClaim } from '../claims/claims.ts';
import { endGroup, settleGroup } from './settle.ts';
import { isMember, shown as shownSnapshot } from '../snapshots/snapshots.ts';
import { createGroup, type FoundGroup } from './create.ts';
import type { ServiceHost } from '../host.ts';
import { requireOwnFile } from '../parents/ownership.ts';

/** Group snapshots, as the controller serves them. */
export const groupsOf = (host: ServiceHost): SnapshotGroups => ({
  create: async (spec) => shown(await createGroup(host, spec)),
  remove: (id, snapshotIds) => remove(host, id, snapshotIds),
  get: async (id, snapshotIds) => shown(await find(host, id, snapshotIds)),
});

/** The group, ready. Throws group-missing, or invalid-request where these are not its snapshots. */
async function find(
  { roots }: Pick<ServiceHost, 'roots'>,
  id: string,
  snapshotIds: readonly string[],
): Promise<FoundGroup> {
  const place = await roots.byId(id);
  const held = place && (await place.store.groups.read(place.local));
  if (!place || held?.value.state !== 'ready') throw groupMissing(id);
  requireSameMembers(place.store, held.value, snapshotIds);
  return { store: place.store, record: held.value };
}

/** A group as callers see it. Throws unreadable-record where a snapshot of it is missing. */
async function shown({ store, record }: FoundGroup): Promise<SnapshotGroup> {
  const snapshots = record.members.map(async ({ snapshot }) => {
    const held = await store.snapshots.read(snapshot);
    if (held?.value.state === 'ready' && isMember(record, held.value))
      return shownSnapshot({ store, record: held.value }, record);
    throw new DriverError(
      'unreadable-record',
      `group snapshot ${record.id} lists snapshot ${snapshot}, which is not there any more; delete the group, or see gpfs-csi doctor`,
    );
  });
  return {
    id: publicId(store.id, record.id),
    snapshots: await Promise.all(snapshots),
    createdMs: record.createdMs,
  };
}

/** Deletes a group with its snapshots, whichever of them reads through another; a missing group is success. */
async function remove(
  host: ServiceHost,
  id: string,
  snapshotIds: readonly string[],
): Promise<void> {
  const place = await host.roots.byId(id);
  if (!place) return;
  const { local } = place;
  const store = place.store.freeing;
  const held = await settleGroup(host, store, local);
  if (held?.value.state !== 'ready') return;
  requireSameMembers(store, held.value, snapshotIds);
  for (const { snapshot } of held.value.members) {
    const member = await store.snapshots.read(snapshot);
    if (member?.value.state === 'ready') await requireOwnFile(store, member.value);
  }
  const marking = { held, plan: { op: 'delete' }, during: { state: 'deleting' } } as const;
  await underClaim(host.claims, store.groups, marking, (deleting) =>
    endGroup(host, store, deleting),
  );
}

function requireSameMembers(
  store: RootStore,
  { id, members }: GroupRecord,
  snapshotIds: readonly string[],
): void {
  const has = members.map(({ snapshot }) => publicId(store.id, snapshot));
  if (isSameSet(has, snapshotIds)) return;
  throw invalid(
    'snapshot_ids',
    `must be those of group snapshot ${id}: ${has.join(', ')}; it was given ${snapshotIds.join(', ') || 'none'}`,
  );
}

const groupMissing = (id: string): DriverError =>
  new DriverError('group-missing', `group snapshot ${id} does not exist`);
