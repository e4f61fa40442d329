import type { Held } from '../store/records.ts';
import type { RootStore } from '../store/root.ts';
import type { VolumeRecord } from '../store/schema/volume.ts';
import { endClaim } from './ownclaim.ts';
import { imageOf, statOf } from './parents.ts';
import { pathOf } from './steps.ts';

/** Grows the image to what the claim says, and then the record. */
export async function growClaimed(
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const bytes = held.value.claim?.bytes ?? held.value.bytes;
  await store.files.grow(pathOf(store, imageOf(held.value)), bytes);
  return endClaim(store, held, () => ({ bytes }));
}

/**
 * Ends an expansion that stopped somewhere: the record takes the new size where the image reached it, else
 * keeps the old one. An image larger than its record harms nobody; a second try could meet a full disk again.
 */
export async function endGrowing(
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const bytes = held.value.claim?.bytes ?? held.value.bytes;
  const stat = await statOf(store, pathOf(store, imageOf(held.value)));
  const reached = stat !== undefined && stat.size >= bytes;
  return endClaim(store, held, () => (reached ? { bytes } : {}));
}
