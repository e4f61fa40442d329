import { DriverError, isFault, raced } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';
import type { Durability, Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { freeingAfter, isBarred } from './bar.ts';
import { releaseClaim } from './claims.ts';
import type { ClaimPlan, ServiceHost } from '../host.ts';

/**
 * One operation on a volume: the version of the record that it starts from, what its claim announces, and what it
 * does.
 */
export interface VolumeOperation<R> {
  readonly id: string;
  readonly from: Held<VolumeRecord> | undefined;
  readonly plan: ClaimPlan;
  /** The record while the operation runs, without the claim. */
  readonly during: VolumeRecord;
  /** 'name' where a command follows whose effect survives a power cut. */
  readonly durability?: Durability;
  readonly work: (claimed: Held<VolumeRecord>) => Promise<R>;
}

/**
 * Claims the volume, works, and leaves no claim behind. Work that fails is undone at once; where that fails too,
 * the claim is released, so that any server may take it over.
 */
export const operate = <R>(
  host: ServiceHost,
  store: RootStore,
  operation: VolumeOperation<R>,
): Promise<R> => freeingAfter(host, store, () => claimAndWork(host, store, operation));

async function claimAndWork<R>(
  host: ServiceHost,
  store: RootStore,
  operation: VolumeOperation<R>,
): Promise<R> {
  const { id, from, plan, during, durability, work } = operation;
  using mine = host.claims.begin(plan);
  const announced = { ...during, claim: mine.claim };
  let begun = false;
  try {
    // Inside the try: a swap that fails may have written the claim all the same.
    const claimed = await store.volumes.swap(id, from, announced, durability);
    begun = true;
    return await work(claimed);
  } catch (error) {
    store.volumes.failing(mine.claim, error);
    const ours = await takeBack(host, store, id, mine.claim);
    const isLost = !ours || (await isBarred(store, announced).catch(() => false));
    throw isLost && begun ? overtaken(`volume ${id}`, error) : error;
  }
}

/**
 * Where another server took the claim over, an error here says nothing about the object: a missing file, for
 * example, must not reach the caller as NOT_FOUND.
 */
export function overtaken(what: string, error: unknown): unknown {
  const defect = !(error instanceof DriverError) && errnoOf(error) === undefined;
  if (defect || isFault(error, 'busy', 'unavailable', 'no-space')) return error;
  return raced(`${what} was taken over by another server; try again`, error);
}

/** False where the record does not have the given claim, or has it no longer. */
async function takeBack(
  host: ServiceHost,
  store: RootStore,
  id: string,
  claim: Claim,
): Promise<boolean> {
  // What failed may have failed because the file system is full.
  const { freeing } = store;
  try {
    const now = await store.volumes.read(id);
    // The operation that the record names: what began as a move may be a deletion by now.
    const ours = now?.value.claim;
    if (!now || ours?.nonce !== claim.nonce) return false;
    const { end, stays } = host.endings.volume[ours.op];
    // A deletion is not undone, nor a fence that has cut its parent: the next request resumes it.
    if (await stays?.(store, now.value)) await releaseClaim(freeing.volumes, id, claim);
    else await end(host, freeing, now);
  } catch (error) {
    host.log.warn(
      { volume: id, op: claim.op, error },
      'an operation that failed could not be undone',
    );
    await host.claims.release(() => releaseClaim(freeing.volumes, id, claim));
  }
  return true;
}
