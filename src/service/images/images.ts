import type { Bytes } from '../../model/bytes.ts';
import type { MayWrite } from '../../run/files.ts';
import { DriverError, raced } from '../../model/fault.ts';
import { fileKey, imageId, type FileKey, type LocalId } from '../../model/ids.ts';
import { asRecorded, type SectorBytes } from '../../model/sectors.ts';
import { undefinedWhenUnreadable } from '../../store/json.ts';
import { ignoring } from '../../store/edges.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import { freeingAfter } from '../claims/bar.ts';
import { releaseClaim } from '../claims/claims.ts';
import { overtaken } from '../claims/operate.ts';
import type { ServiceHost } from '../host.ts';
import { endImport } from '../snapshots/remove.ts';
import { trusted } from '../claims/steps.ts';
import { settleSnapshot } from '../claims/settle.ts';

/** An image that is being imported. */
export interface Incoming {
  readonly name: string;
  readonly format: 'raw' | 'qcow2';
  /** Size of the disk in it: the least size of a volume made from it. */
  readonly bytes: Bytes;
  /** Writes the disk to a path that does not exist yet; resolves to true when the file there is a clone parent already. */
  readonly place: (path: string, bytes: Bytes, may: MayWrite) => Promise<boolean>;
  /** Called once the image is recorded. */
  readonly finish?: () => Promise<void>;
  /** The sector size of the disk in the file, once that is written. */
  readonly sectorBytes: (path: string) => Promise<SectorBytes>;
  /** Tries a clone of an image with small sectors, as `tryClone` does; absent where any device is good enough. */
  readonly tryClone?:
    ((path: string, sectorBytes: number) => Promise<boolean | undefined>) | undefined;
}

/** Imports an image. An import that fails or is interrupted leaves nothing. Throws name-taken. */
export const importImage = (
  host: ServiceHost,
  store: RootStore,
  incoming: Incoming,
): Promise<SnapshotRecord> => freeingAfter(host, store, () => takeIn(host, store, incoming));

async function takeIn(
  host: ServiceHost,
  store: RootStore,
  incoming: Incoming,
): Promise<SnapshotRecord> {
  const id = imageId(incoming.name);
  const held = await settleSnapshot(host, store, id);
  if (held && held.value.state !== 'deleted')
    throw new DriverError(
      'name-taken',
      `root ${store.layout.root} has an image ${incoming.name} already; remove it first, or use another name`,
    );
  const key = fileKey(id, (held?.version ?? 0) + 1, host.nonce());
  using mine = host.claims.begin({ op: 'create', image: key });
  const { claim } = mine;
  try {
    const record = newRecord(host, incoming, claim);
    const begun = await store.snapshots.swap(id, held, record, 'name');
    const made = await placeImage(host, store, begun, { incoming, key });
    await incoming.finish?.();
    return made;
  } catch (error) {
    store.snapshots.failing(claim, error);
    const isLost = await isTaken(store, id, claim).catch(() => false);
    await host.claims.release(() => dropImage(host, store, id, claim));
    throw isLost ? overtaken(`image ${incoming.name}`, error) : error;
  }
}

/** Whether another server took the import over, or is about to. */
async function isTaken(store: RootStore, id: LocalId, { nonce, image }: Claim): Promise<boolean> {
  if (image && (await store.barred.has(image))) return true;
  return !(await isClaimedBy(store, id, nonce));
}

const isClaimedBy = async (store: RootStore, id: string, nonce?: string): Promise<boolean> =>
  (await store.snapshots.read(id))?.value.claim?.nonce === nonce;

async function placeImage(
  host: Pick<ServiceHost, 'commands'>,
  store: RootStore,
  begun: Held<SnapshotRecord>,
  { incoming, key }: { readonly incoming: Incoming; readonly key: FileKey },
): Promise<SnapshotRecord> {
  const { bytes, place, sectorBytes } = incoming;
  const path = store.layout.data('snapshots', key);
  await store.directoryOf(path);
  const may = underImport(store, begun);
  if (!(await place(path, bytes, may))) {
    const { size } = await store.files.stat(path);
    if (size < bytes) await store.files.grow(path, bytes);
    await store.check();
    await may();
    await trusted(store, { data: 'snapshots', key }, host.commands.clone.freeze(path));
  }
  await store.files.chmod(path, 0o640);
  const { inode, size } = await store.files.stat(path);
  const sectors = asRecorded(await sectorBytes(path));
  const tried = sectors.sectorBytes && (await incoming.tryClone?.(path, sectors.sectorBytes));
  const ready: SnapshotRecord = {
    ...begun.value,
    ...(typeof tried === 'boolean' ? { cloneDirectIo: tried } : {}),
    state: 'ready',
    bytes: size,
    file: { key, inode },
    ...sectors,
    claim: null,
  };
  return (await store.snapshots.swap(begun.id, begun, ready, 'name')).value;
}

/** Throws busy when another server took the import over. */
const underImport =
  (store: RootStore, { id, value: { claim, golden } }: Held<SnapshotRecord>): MayWrite =>
  async () => {
    if (!(await isClaimedBy(store, id, claim?.nonce)))
      throw raced(`image ${golden?.name ?? id} was taken over by another server; try again`);
  };

const newRecord = (
  host: Pick<ServiceHost, 'clock'>,
  { name, format, bytes }: Incoming,
  claim: Claim,
): SnapshotRecord => ({
  format: recordFormat,
  id: imageId(name),
  name: `image-${name}`,
  state: 'creating',
  volume: imageId(name),
  golden: { name, format },
  bytes,
  file: null,
  parent: null,
  // So that no node ever formats a volume made from it.
  content: { kind: 'unknown' },
  attributes: {},
  createdMs: host.clock.now(),
  claim,
});

/** Undoes an import: the file is removed, or stays as a tombstone where its origin reads through it. */
async function dropImage(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
  claim: Claim,
): Promise<void> {
  const now = await store.snapshots.read(id);
  if (now?.value.claim?.nonce !== claim.nonce) return dropOrphan(host, store, id, claim);
  try {
    await endImport(host, store, now);
  } catch {
    await releaseClaim(store.snapshots, id, claim);
  }
}

/**
 * Removes the file of an import that another server took over and undid, before this server had made the file. A file
 * that is needed is in a record; GPFS does not remove a clone parent that its origin reads through.
 */
async function dropOrphan(
  host: Pick<ServiceHost, 'log'>,
  store: RootStore,
  id: LocalId,
  { image: key }: Claim,
): Promise<void> {
  try {
    const now = (await store.snapshots.read(id))?.value;
    if (!key || now?.file?.key === key || (await store.hidden.read(key))) return;
    await ignoring(store.files.unlink(store.layout.data('snapshots', key)), 'ENOENT', 'EISDIR');
  } catch (error) {
    host.log.warn(
      { image: id, error },
      'the file of an import that another server undid may be left',
    );
  }
}

/** The images of a root, by name. */
export async function listImages(store: RootStore): Promise<readonly SnapshotRecord[]> {
  const found: SnapshotRecord[] = [];
  for (const shard of await store.snapshots.shards())
    for (const id of (await store.snapshots.ids(shard)).keys()) {
      const held = await store.snapshots.read(id).catch(undefinedWhenUnreadable(store.bad));
      const record = held?.value;
      if (record?.state === 'ready' && record.golden) found.push(record);
    }
  return found.sort((a, b) => ((a.golden?.name ?? '') < (b.golden?.name ?? '') ? -1 : 1));
}
