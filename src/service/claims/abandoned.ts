import { isFault } from '../../model/fault.ts';
import type { Held, Records } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';
import { statOf } from './data-files.ts';
import { settleSnapshot, settleVolume } from './settle.ts';

/**
 * How long nothing of an operation must have changed before it is ended without a request. Until then its caller may
 * ask again, and a fill is resumed where it stopped.
 */
const abandonedMs = 3_600_000;

/** Whether the server of an operation is gone, and no server has written its record for long. */
async function isAbandoned<T extends { readonly claim: Claim | null }>(
  { claims, clock }: Pick<ServiceHost, 'claims' | 'clock'>,
  store: RootStore,
  records: Records<T>,
  held: Held<T>,
): Promise<boolean> {
  const { claim } = held.value;
  if (!claim) return false;
  const written = await records.writtenMs(held);
  if (written === undefined) return false;
  if (clock.now() - Math.max(written, claim.sinceMs) < abandonedMs) return false;
  return (await claims.fateOf(store, claim)) !== 'alive';
}

/** Ends what a server that is gone left on a volume, where no caller asks for it any more. */
export async function settleAbandonedVolume(
  host: ServiceHost,
  store: RootStore,
  held: Held<VolumeRecord>,
): Promise<void> {
  const { id, value } = held;
  if (!(await isAbandoned(host, store, store.volumes, held))) return;
  if (value.claim?.op === 'compact') return host.backlog.add(store, id);
  if (await isWrittenSince(store, held)) {
    host.log.warn(
      { volume: id, image: value.claim?.image },
      'the creation of a volume is not undone: its image was written to long after; see gpfs-csi doctor',
    );
    return;
  }
  await orLater(host, { volume: id }, () => settleVolume(host, store, value.id));
}

/** The same for a snapshot or an import. */
export async function settleAbandonedSnapshot(
  host: ServiceHost,
  store: RootStore,
  held: Held<SnapshotRecord>,
): Promise<void> {
  const { id, value } = held;
  if (!(await isAbandoned(host, store, store.snapshots, held))) return;
  if (value.claim?.op === 'compact' && value.file) return host.backlog.add(store, value.file.key);
  await orLater(host, { snapshot: id }, () => settleSnapshot(host, store, value.id));
}

/**
 * Whether the image of a creation was written to long after that: then the record is an older copy, and the volume
 * was ready and in use.
 */
async function isWrittenSince(store: RootStore, held: Held<VolumeRecord>): Promise<boolean> {
  const { claim } = held.value;
  if (claim?.op !== 'create' || !claim.image) return false;
  const stat = await statOf(store, store.layout.data('volumes', claim.image));
  const since = claim.fill ? await store.volumes.writtenMs(held) : claim.sinceMs;
  return stat !== undefined && since !== undefined && stat.modifiedMs - since > abandonedMs;
}

/** Another server may be faster, and an expansion waits until its server is known to be gone. */
async function orLater(
  { log }: Pick<ServiceHost, 'log'>,
  about: Readonly<Record<string, unknown>>,
  settle: () => Promise<unknown>,
): Promise<void> {
  try {
    await settle();
  } catch (error) {
    if (!isFault(error, 'busy', 'unavailable')) throw error;
    log.info({ ...about, error }, 'what a server left unfinished stays for now');
  }
}
