import { raced } from '../../model/fault.ts';
import type { LocalId } from '../../model/ids.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { GroupRecord } from '../../store/schema/groups.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import { asDeleted } from '../claims/own-claim.ts';
import { releaseClaim, underClaim } from '../claims/claims.ts';
import { outwaited } from '../claims/outwait.ts';
import { removeSnapshot } from '../snapshots/remove.ts';
import type { ServiceHost } from '../host.ts';
import { settleSnapshot } from '../claims/settle.ts';
import { isMember } from '../snapshots/snapshots.ts';

type Member = GroupRecord['members'][number];

/**
 * The group's record with no operation under way. A creation that a dead server left is undone, since nothing shows
 * whether its snapshots were of one moment; a deletion is finished. Throws busy while the operation's server is
 * alive.
 */
export async function settleGroup(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
): Promise<Held<GroupRecord> | undefined> {
  const held = await store.groups.read(id);
  if (!held?.value.claim) return held;
  if (await outwaited(host, store, store.groups, held)) return settleGroup(host, store, id);
  await host.claims.requireDead(store, held.value.claim, `group ${id}`);
  const plan = held.value.claim;
  host.log.warn(
    { group: id, op: plan.op, node: plan.node },
    'finishing an operation that its server left half done',
  );
  return underClaim(host.claims, store.groups, { held, plan }, (taken) =>
    endGroup(host, store, taken),
  );
}

/** Undoes the creation of a group; where that fails, releases the claim, so that the next request undoes it. */
export async function takeBackGroup(
  host: ServiceHost,
  { freeing: store }: RootStore,
  id: LocalId,
  claim: Claim,
): Promise<void> {
  try {
    const now = await store.groups.read(id);
    if (now?.value.claim?.nonce === claim.nonce) await endGroup(host, store, now);
  } catch (error) {
    host.log.warn({ group: id, error }, 'the creation of a group could not be undone');
    await host.claims.release(() => releaseClaim(store.groups, id, claim));
  }
}

/** Removes the snapshots of a group that was never ready or is being deleted, and its own record last. */
export async function endGroup(
  host: ServiceHost,
  store: RootStore,
  held: Held<GroupRecord>,
): Promise<Held<GroupRecord>> {
  for (const member of held.value.members)
    await (held.value.state === 'creating'
      ? undoMember(host, store, held.value, member)
      : removeMember(host, store, held.value, member));
  return store.groups.swap(held.id, held, asDeleted(host, held.value), 'name');
}

async function removeMember(
  host: ServiceHost,
  store: RootStore,
  group: GroupRecord,
  { snapshot }: Member,
): Promise<boolean> {
  const held = await settleSnapshot(host, store, snapshot);
  if (held?.value.state !== 'ready' || !isMember(group, held.value)) return false;
  await removeSnapshot(host, { store, local: snapshot });
  return true;
}

/** A stalled server may be about to cut the member: this writes a version that the other server does not expect. */
async function undoMember(
  host: ServiceHost,
  store: RootStore,
  group: GroupRecord,
  member: Member,
): Promise<void> {
  if (await removeMember(host, store, group, member)) return;
  const { snapshot } = member;
  const held = await store.snapshots.read(snapshot);
  if (held && held.value.state !== 'deleted')
    throw raced(`snapshot ${snapshot} changed while group ${group.id} was being undone; try again`);
  const gone = held?.value ?? neverMade(group, member);
  await store.snapshots.swap(snapshot, held, asDeleted(host, gone), 'name');
}

const neverMade = (group: GroupRecord, { snapshot, volume }: Member): SnapshotRecord => ({
  format: recordFormat,
  id: snapshot,
  name: memberName(group, volume),
  state: 'deleted',
  volume,
  bytes: 0n,
  file: null,
  parent: null,
  content: { kind: 'unknown' },
  attributes: {},
  createdMs: group.createdMs,
  claim: null,
});

/** The name that people read for a snapshot of a group. */
export const memberName = ({ name }: Pick<GroupRecord, 'name'>, volume: LocalId): string =>
  `${name}/${volume}`;
