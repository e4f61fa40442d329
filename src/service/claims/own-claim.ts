import { raced } from '../../model/fault.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Attachment, VolumeRecord } from '../../store/schema/volume.ts';
import type { Clock } from '../../run/clock.ts';
import type { MayWrite } from '../../run/files.ts';

/**
 * Removes the claim and changes the record, and keeps what other servers changed in it meanwhile. Attachments that
 * were waiting for a fence are removed too. Throws busy when the claim was taken over.
 */
export function endClaim(
  store: RootStore,
  held: Held<VolumeRecord>,
  change: (now: VolumeRecord) => Partial<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const end = (now: VolumeRecord): VolumeRecord => {
    requireClaim(now, held.value);
    const attachments = now.attachments.filter((each) => !isFencing(each));
    return { ...now, attachments, ...change(now), claim: null };
  };
  return store.volumes.update(held.id, end, 'name', held);
}

/** An attachment that counts only once the other nodes are cut off. */
export const isFencing = ({ state }: Attachment): boolean => state === 'fencing';

/** Whether the record still has the same claim. */
const isClaimed = (now: VolumeRecord, { claim }: Pick<VolumeRecord, 'claim'>): boolean =>
  now.claim?.nonce === claim?.nonce;

/** Throws busy when the record no longer has the same claim. */
export function requireClaim(
  now: VolumeRecord | undefined,
  { id, claim }: VolumeRecord,
): asserts now is VolumeRecord {
  if (!now || !isClaimed(now, { claim }))
    throw raced(`volume ${id} was taken over by another server; try again`);
}

/** Data may be written under a claim while the record has it: throws busy when another server took it over. */
export const underOwnClaim =
  (store: RootStore, { id, value }: Held<VolumeRecord>): MayWrite =>
  async () => {
    requireClaim((await store.volumes.read(id))?.value, value);
  };

/** The depth of an image under one more clone parent, where it is known. */
export const deeper = ({ depth }: Pick<VolumeRecord, 'depth'>) =>
  depth === undefined ? {} : { depth: depth + 1 };

/**
 * The last version of a record: it says when the object was deleted, so that no server that stalled brings it back.
 */
export const asDeleted = <T extends object>({ clock }: { readonly clock: Clock }, record: T) => ({
  ...record,
  state: 'deleted' as const,
  deletedMs: clock.now(),
  claim: null,
});
