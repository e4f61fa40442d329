import { DriverError } from '../../model/fault.ts';
import type { ServiceHost } from '../host.ts';
import { underClaim } from '../operating/claims.ts';
import { operate } from '../operating/operation.ts';
import { requireOwnFile, requireOwnImage } from '../ownership.ts';
import { finishSnapshotRemoval, finishVolumeRemoval } from './removal.ts';
import type { Place } from '../roots.ts';
import { settleSnapshot, settleVolume } from '../operating/settle.ts';

/** Deletes a volume; a missing one is success. Its image has no children, so it goes at once. */
export async function removeVolume(host: ServiceHost, { store, local }: Place): Promise<void> {
  const held = await settleVolume(host, store, local);
  if (held?.value.state !== 'ready') return;
  const [attached] = held.value.attachments;
  if (attached)
    throw new DriverError(
      'in-use',
      `volume ${local} cannot be deleted: it is attached to node ${attached.node}; detach it first`,
    );
  // Before the record says so, or the volume could not be used again once it is put right.
  await requireOwnImage(store, held.value);
  await operate(host, store, {
    id: local,
    from: held,
    plan: { op: 'delete' },
    during: { ...held.value, state: 'deleting' },
    work: (claimed) => finishVolumeRemoval(host, store, claimed),
  });
}

/** Deletes a snapshot; a missing one is success. While children read through its file, that stays hidden. */
export async function removeSnapshot(host: ServiceHost, { store, local }: Place): Promise<void> {
  const held = await settleSnapshot(host, store, local);
  if (held?.value.state !== 'ready') return;
  await requireOwnFile(store, held.value);
  // Once it is marked nobody clones it any more; whoever began before has an edge by then.
  const marking = { held, plan: { op: 'delete' }, during: { state: 'deleting' } } as const;
  await underClaim(host.claims, store.snapshots, marking, (marked) =>
    finishSnapshotRemoval(host, store, marked),
  );
}
