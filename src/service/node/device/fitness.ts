import { whyNotUsed } from '../../../model/abilities.ts';
import { isMultiNode, isReaderOnly } from '../../../model/capability.ts';
import { DriverError } from '../../../model/fault.ts';
import type { VolumeRecord } from '../../../store/schema/volume.ts';
import type { StageAsk } from '../../api.ts';
import type { NodeHost } from '../host.ts';
import type { NodeVolume } from './volume.ts';

/** Attached in a mode in which several nodes use one device: it must never be buffered. */
export const isShared = ({ attachments }: VolumeRecord): boolean =>
  attachments.some(
    ({ capability: { access, mode } }) => access.kind === 'block' && isMultiNode(mode),
  );

/** Throws wrong-state where what the probe of this root found out forbids to use the volume so. */
export async function requireFit(
  { allowBuffered }: NodeHost,
  { id, store, record }: NodeVolume,
  { capability }: StageAsk,
  readonly: boolean,
): Promise<void> {
  // A file system is replayed before it is used, so its device is written to also for readers.
  const writable =
    capability.access.kind === 'mount' || !(readonly || isReaderOnly(capability.mode));
  const why = whyNotUsed(await store.abilities.read(), {
    writable,
    isClone: record.parent !== null,
    shared: isShared(record),
    allowBuffered,
  });
  if (why !== undefined)
    throw new DriverError('wrong-state', `volume ${id} cannot be staged: ${why}`);
}
