import { isFault } from '../model/fault.ts';
import type { Durability, Held } from '../store/records.ts';
import type { RootStore } from '../store/root.ts';
import type { Claim, SnapshotRecord, VolumeRecord } from '../store/schema.ts';
import type { ClaimPlan } from './claims.ts';
import type { ServiceHost } from './host.ts';
import { endVolumeClaim } from './settle.ts';

/** One operation on a volume: which version it starts from, what it announces, and what it does. */
export interface VolumeOperation<R> {
  readonly id: string;
  readonly from: Held<VolumeRecord> | undefined;
  readonly plan: ClaimPlan;
  /** The record while the operation runs, but for its claim. */
  readonly during: VolumeRecord;
  /** 'name' where a command follows that a power cut would not take back. */
  readonly durability?: Durability;
  readonly work: (claimed: Held<VolumeRecord>) => Promise<R>;
}

/**
 * Claims the volume, works, and leaves no claim behind: what fails half way is taken back here and now, or,
 * where even that fails, marked so that any server may take it over.
 */
export async function operate<R>(
  host: ServiceHost,
  store: RootStore,
  operation: VolumeOperation<R>,
): Promise<R> {
  const { id, from, plan, during, durability, work } = operation;
  using mine = host.claims.begin(plan);
  const announced = { ...during, claim: mine.claim };
  const claimed = await store.volumes.swap(id, from, announced, durability);
  try {
    return await work(claimed);
  } catch (error) {
    await takeBack(host, store, id, mine.claim);
    throw error;
  }
}

async function takeBack(
  host: ServiceHost,
  store: RootStore,
  id: string,
  claim: Claim,
): Promise<void> {
  try {
    const now = await store.volumes.read(id);
    if (now?.value.claim?.nonce !== claim.nonce) return;
    // A deletion is not taken back; whoever asks next goes on with it.
    if (claim.op === 'delete') await releaseVolume(store, id, claim);
    else await endVolumeClaim(host, store, now, claim);
  } catch (error) {
    host.log.warn({ volume: id, op: claim.op, error }, 'an operation could not be taken back');
    await host.claims.release(() => releaseVolume(store, id, claim));
  }
}

/** Says in the record that nobody works on it any more. */
async function releaseVolume(store: RootStore, id: string, claim: Claim): Promise<void> {
  await store.volumes
    .update(id, (now) => ({ ...now, claim: released(now.claim, claim) }))
    .catch(busyIsFine);
}

/** The same for a snapshot. */
export async function releaseSnapshot(store: RootStore, id: string, claim: Claim): Promise<void> {
  const change = (now: SnapshotRecord) => ({ ...now, claim: released(now.claim, claim) });
  await store.snapshots.update(id, change).catch(busyIsFine);
}

const released = (now: Claim | null, mine: Claim): Claim | null =>
  now?.nonce === mine.nonce ? { ...now, released: true } : now;

// Somebody else writes the record, so it is no longer ours to release.
const busyIsFine = (error: unknown): undefined => {
  if (isFault(error, 'busy')) return undefined;
  throw error;
};
