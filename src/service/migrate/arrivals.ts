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
 * Removes what a move brought here that was never handed over: the volume is still where it came from, and
 * nobody asks for this one. `held` is as it was read before anything else is looked at.
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
    // What was handed over is ended here, and what was not even complete goes.
    if (value.state !== 'ready') await settleVolume(host, store, value.id);
    else if (await isElsewhere(host, store, value)) await removeArrival(host, store, held);
  } catch (error) {
    // Somebody is at work on it, or a root is away: the next sweep looks again.
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
  host.log.warn({ volume: value.handle, root: store.id }, 'removing what an unended move left');
  await operate(host, store, {
    id,
    from: held,
    plan: { op: 'delete' },
    during: { ...value, state: 'deleting' },
    work: (claimed) => finishVolumeRemoval(host, store, claimed),
  });
}

/**
 * True where the handle leads to another record, at rest. A move is handed over under the claim in that record
 * which stood there before anything arrived, so without one this arrival never will be. A handle leads to the
 * new place before the record at the old one is deleted: hence it is asked for again after that was read.
 */
async function isElsewhere(
  { roots }: ServiceHost,
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
