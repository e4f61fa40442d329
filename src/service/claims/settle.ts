import { DriverError } from '../../model/fault.ts';
import type { LocalId } from '../../model/ids.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { barSnapshot, barVolume } from './bar.ts';
import { underClaim } from './claims.ts';
import { outwaited } from './outwait.ts';
import type { ServiceHost, SnapshotWork } from '../host.ts';

/** The request that began an operation, by which its lines are found in the log of that server. */
const begunBy = ({ request }: Claim) => (request === undefined ? {} : { begunBy: request });

/**
 * The volume's record with no operation under way: an operation that a dead server left is finished or undone
 * first. Undefined when there never was such a volume; a deleted one keeps its record. Throws busy while the
 * operation's server is alive.
 */
export async function settleVolume(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
): Promise<Held<VolumeRecord> | undefined> {
  const held = await store.volumes.read(id);
  if (!held?.value.claim) return held;
  if (held.value.claim.op === 'compact') {
    await host.endings.giveWay.volume(host, store, held);
    return settleVolume(host, store, id);
  }
  if (await outwaited(host, store, store.volumes, held)) return settleVolume(host, store, id);
  await host.claims.requireDead(store, held.value.claim, `volume ${id}`);
  const plan = held.value.claim;
  host.log.warn(
    { volume: id, op: plan.op, node: plan.node, ...begunBy(plan) },
    'finishing an operation that its server left half done',
  );
  await barVolume(host, store, held.value);
  return underClaim(host.claims, store.volumes, { held, plan }, (taken, claim) =>
    host.endings.volume[claim.op].end(host, store, taken),
  );
}

/**
 * The same for a snapshot. The operation on its volume is settled first, since that decides whether the snapshot
 * was taken.
 */
export async function settleSnapshot(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
): Promise<Held<SnapshotRecord> | undefined> {
  const held = await store.snapshots.read(id);
  if (!held?.value.claim) return held;
  if (await outwaited(host, store, store.snapshots, held)) return settleSnapshot(host, store, id);
  await requireFree(host, store, held, held.value.claim);
  // The compaction may have left its claim all the same: the record is read again, and the claim never ended as
  // another operation.
  if (held.value.claim.op === 'compact') return settleSnapshot(host, store, id);
  const now = await store.snapshots.read(id);
  if (now?.value.claim?.nonce !== held.value.claim.nonce) return settleSnapshot(host, store, id);
  const plan = held.value.claim;
  host.log.warn(
    { snapshot: id, op: plan.op, node: plan.node, ...begunBy(plan) },
    'finishing an operation that its server left half done',
  );
  await barSnapshot(host, store, now.value);
  return underClaim(host.claims, store.snapshots, { held: now, plan }, (taken) =>
    host.endings.snapshot[workOn(taken.value)](host, store, taken),
  );
}

/** Throws busy while the claim's server may be at work on the snapshot, or on the volume it is taken from. */
async function requireFree(
  host: ServiceHost,
  store: RootStore,
  held: Held<SnapshotRecord>,
  claim: Claim,
): Promise<void> {
  const { file, state, volume } = held.value;
  if (claim.op === 'compact' && file) return host.endings.giveWay.snapshot(host, store, held);
  await host.claims.requireDead(store, claim, `snapshot ${held.id}`);
  if (state === 'creating') await settleVolume(host, store, volume);
}

/** The operation that is under way on a snapshot with a claim. */
function workOn({ id, state, golden }: SnapshotRecord): SnapshotWork {
  if (state === 'deleting') return 'delete';
  if (state !== 'creating')
    throw new Error(`snapshot ${id} is ${state}, and nothing was begun on it`);
  return golden ? 'import' : 'snapshot';
}

/** The volume, ready and without an operation under way. Throws volume-missing or busy. */
export async function readyVolume(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
): Promise<Held<VolumeRecord>> {
  const held = await settleVolume(host, store, id);
  if (held?.value.state === 'ready') return held;
  throw volumeMissing(id);
}

/** The snapshot, ready. Throws snapshot-missing or busy. */
export async function readySnapshot(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
): Promise<Held<SnapshotRecord>> {
  const held = await settleSnapshot(host, store, id);
  if (held?.value.state === 'ready') return held;
  throw snapshotMissing(id);
}

/** The error for a volume that does not exist. */
export const volumeMissing = (id: string): DriverError =>
  new DriverError('volume-missing', `volume ${id} does not exist`);

/** The error for a snapshot that does not exist. */
export const snapshotMissing = (id: string): DriverError =>
  new DriverError('snapshot-missing', `snapshot ${id} does not exist`);
