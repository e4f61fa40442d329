import { whyNotCut } from '../../model/abilities.ts';
import { isReaderOnly } from '../../model/capability.ts';
import { DriverError } from '../../model/fault.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';

/** Throws wrong-state where this GPFS allows no clone parent above an image that is in use. */
export async function requireCuttable(store: RootStore, volume: VolumeRecord): Promise<void> {
  const [first] = volume.attachments;
  if (!first) return;
  const writable = volume.attachments.some(
    ({ readonly, capability }) => !readonly && !isReaderOnly(capability.mode),
  );
  const why = whyNotCut(await store.abilities.read(), writable);
  if (why === undefined) return;
  throw new DriverError(
    'wrong-state',
    `volume ${volume.id} is attached to node ${first.node} and cannot be snapshotted or cloned now: ${why}`,
  );
}
