import { whyNotUsed } from '../../../model/abilities.ts';
import { isMultiNode, isReaderOnly, type Capability } from '../../../model/capability.ts';
import { DriverError } from '../../../model/fault.ts';
import type { VolumeRecord } from '../../../store/schema/volume.ts';
import type { NodeHost } from '../host.ts';
import type { NodeVolume } from './volume.ts';

/** True for a volume attached in a mode in which several nodes use one device: it must never be buffered. */
export const isShared = ({ attachments }: VolumeRecord): boolean =>
  attachments.some(
    ({ capability: { access, mode } }) => access.kind === 'block' && isMultiNode(mode),
  );

/** Throws wrong-state where the root, as its probe found it, cannot carry this use of the volume. */
export async function requireFit(
  { allowBuffered }: Pick<NodeHost, 'allowBuffered'>,
  { id, store, record }: NodeVolume,
  { capability, readonly }: { readonly capability: Capability; readonly readonly: boolean },
): Promise<void> {
  // A journal is replayed before a file system is used, so its device is written to for readers too.
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
