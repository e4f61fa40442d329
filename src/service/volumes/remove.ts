import { DriverError, raced } from '../../model/fault.ts';
import type { ServiceHost } from '../host.ts';
import { operate } from '../claims/operate.ts';
import { requireOwnImage } from '../parents/ownership.ts';
import type { PlacedObject } from '../roots/roots.ts';
import { settleVolume } from '../claims/settle.ts';
import { parseId } from '../../model/ids.ts';
import { ignoring } from '../../store/edges.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { asDeleted } from '../claims/own-claim.ts';
import { imageOf, pathOf } from '../claims/data-files.ts';
import { reclaimAfter } from '../parents/reclaim.ts';

/** Deletes a volume; a missing one is success. Its image has no children, so it is removed at once. */
export async function removeVolume(
  host: ServiceHost,
  { store, local }: PlacedObject,
): Promise<void> {
  const held = await settleVolume(host, store, local);
  if (held?.value.state !== 'ready') return;
  const [attached] = held.value.attachments;
  if (attached)
    throw new DriverError(
      'in-use',
      `volume ${local} cannot be deleted: it is attached to node ${attached.node}; detach it first`,
    );
  // Checked before the record says `deleting`: else the volume could not be used once the administrator repairs it.
  await requireOwnImage(store, held.value);
  await operate(host, store, {
    id: local,
    from: held,
    plan: { op: 'delete' },
    during: { ...held.value, state: 'deleting' },
    work: (claimed) => finishVolumeRemoval(host, store, claimed),
  });
}

/** Ends a deletion that a record announces, from any point it stopped at; busy where the volume only moved. */
export async function finishVolumeRemoval(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const gone = await removeImage(host, store, held);
  const { id, claim } = held.value;
  if (claim?.movedTo === undefined) return gone;
  // The caller must not take it for deleted: its handle leads to the other root from now on.
  throw raced(`volume ${id} was moved to another root just now; try again`);
}

/** Removes the image of a volume that is deleted, or that has moved; the handle of the latter leads there first. */
export async function removeImage(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<Held<VolumeRecord>> {
  const { parent } = held.value;
  const image = imageOf(held.value);
  await forwardHandle(host, store, held.value);
  await requireOwnImage(store, held.value);
  await ignoring(store.files.unlink(pathOf(store, image)), 'ENOENT');
  if (parent !== null) await store.edges.remove(parent, image.key);
  const gone = asDeleted(host, held.value);
  return reclaimAfter(host, store, parent, store.volumes.swap(held.id, held, gone, 'name'));
}

/** From here on the handle of a volume that moved leads to where it is. */
async function forwardHandle(
  { roots }: Pick<ServiceHost, 'roots'>,
  store: RootStore,
  { id, claim }: VolumeRecord,
): Promise<void> {
  if (claim?.movedTo === undefined) return;
  const { movedTo } = claim;
  const target = (await roots.all()).find((each) => each.id === parseId(movedTo)?.root);
  if (!target)
    throw new DriverError(
      'unavailable',
      `volume ${id} was moved to ${movedTo}, whose root is not configured here; add it`,
    );
  // Cleared first, or the two roots would point at each other where the volume was in the other root before.
  await target.moved.clear(id);
  await store.moved.set(id, movedTo);
}
