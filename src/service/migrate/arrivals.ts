import { isFault } from '../../model/fault.ts';
import { publicId } from '../../model/ids.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';
import { operate } from '../claims/operate.ts';
import { requireOwnImage } from '../parents/ownership.ts';
import { finishVolumeRemoval } from '../volumes/remove.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { settleVolume } from '../claims/settle.ts';

/**
 * Removes the leftovers of an interrupted migration to this root: the volume is still in the other root, and no
 * caller uses this copy. `held` must be read before any other record.
 */
export async function sweepArrival(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<void> {
  const { value } = held;
  const isLeaving = value.claim?.movedTo !== undefined;
  if (value.handle === undefined && !isLeaving) return;
  try {
    // This ends a migration that was handed over, and removes a copy that is not complete.
    if (value.state !== 'ready') await settleVolume(host, store, value.id);
    else if (await isElsewhere(host, store, value)) await removeArrival(host, store, held);
  } catch (error) {
    // Another server works on it, or a root is not mounted: the next sweep tries again.
    if (!isFault(error, 'busy', 'unavailable')) throw error;
  }
}

async function removeArrival(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<void> {
  const { id, value } = held;
  await requireOwnImage(store, value);
  host.log.warn(
    { volume: value.handle, root: store.id },
    'removing the leftovers of an interrupted migration',
  );
  await operate(host, store, {
    id,
    from: held,
    plan: { op: 'delete' },
    during: { ...value, state: 'deleting' },
    work: (claimed) => finishVolumeRemoval(host, store, claimed),
  });
}

/**
 * True where the handle leads to another record, which has no claim. The other record has a claim from before
 * the copy is made until it is handed over, so without one this copy is never handed over. The handle leads to the
 * new place before the old record is deleted: so it is resolved again after the other record was read.
 */
async function isElsewhere(
  { roots }: Pick<ServiceHost, 'roots'>,
  store: RootStore,
  record: VolumeRecord,
): Promise<boolean> {
  const { handle = '' } = record;
  if (record.claim !== null || record.attachments.length > 0) return false;
  const place = await roots.byId(handle);
  if (!place || isSame(place, store)) return false;
  const there = await place.store.volumes.read(place.local);
  if (!there || !isItAtRest(place, there.value, handle)) return false;
  const again = await roots.byId(handle);
  return isSame(again, place.store);
}

const isItAtRest = ({ store }: PlacedObject, record: VolumeRecord, handle: string): boolean =>
  record.claim === null &&
  ['ready', 'deleted'].includes(record.state) &&
  (record.handle ?? publicId(store.id, record.id)) === handle;

const isSame = (place: PlacedObject | undefined, store: RootStore): boolean =>
  place?.store.id === store.id;
