import type { Bytes } from '../../model/bytes.ts';
import { DriverError } from '../../model/fault.ts';
import { fileKey, localIdOf, type FileKey, type LocalId } from '../../model/ids.ts';
import { asRecorded, type SectorBytes } from '../../model/sectors.ts';
import { ignoring } from '../../store/edges.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import { releaseClaim } from '../claims/claims.ts';
import type { ServiceHost } from '../host.ts';
import { endImport } from '../snapshots/remove.ts';
import { settleSnapshot } from '../claims/settle.ts';

/**
 * A golden image is a snapshot that no volume was cut for: a clone parent that came from outside. So whatever
 * works with snapshots works with images: clones, tombstones, lists, VolumeSnapshotContents.
 */
export const imageId = (name: string): LocalId => localIdOf(`image-${name}`);

/** An image on its way in. */
export interface Incoming {
  readonly name: string;
  readonly format: 'raw' | 'qcow2';
  /** Size of the disk in it, as volumes made from it will at least have. */
  readonly bytes: Bytes;
  /** Puts the disk at a path where nothing is; resolves to whether it is a clone parent by then. */
  readonly place: (path: string, bytes: Bytes) => Promise<boolean>;
  /** Done once the image is there for good. */
  readonly finish?: () => Promise<void>;
  /** Reads from the file once it is there. */
  readonly sectorBytes: (path: string) => Promise<SectorBytes>;
}

/** Takes an image in. What fails or is interrupted half way leaves nothing. */
export async function importImage(
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
    const made = await bringIn(host, store, begun, incoming, key);
    await incoming.finish?.();
    return made;
  } catch (error) {
    await host.claims.release(() => dropImage(host, store, id, claim));
    throw error;
  }
}

async function bringIn(
  host: ServiceHost,
  store: RootStore,
  begun: Held<SnapshotRecord>,
  { bytes, place, sectorBytes }: Incoming,
  key: FileKey,
): Promise<SnapshotRecord> {
  const path = store.layout.data('snapshots', key);
  await store.directoryOf(path);
  if (!(await place(path, bytes))) {
    const { size } = await store.files.stat(path);
    if (size < bytes) await store.files.grow(path, bytes);
    await store.check();
    await host.commands.clone.freeze(path);
  }
  await store.files.chmod(path, 0o640);
  const { inode, size } = await store.files.stat(path);
  const sectors = asRecorded(await sectorBytes(path));
  const ready: SnapshotRecord = {
    ...begun.value,
    state: 'ready',
    bytes: size,
    file: { key, inode },
    ...sectors,
    claim: null,
  };
  return (await store.snapshots.swap(begun.id, begun, ready, 'name')).value;
}

const newRecord = (
  host: ServiceHost,
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
  // Never formatted, whatever it looks like.
  content: { kind: 'unknown' },
  attributes: {},
  createdMs: host.clock.now(),
  claim,
});

/** Takes back what was begun: the file goes, or stays as a tombstone where its origin reads through it. */
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
 * The file of an import that another server took over and took back may have come to be after that. One that is
 * needed is in a record; a clone parent whose origin reads through it is not removed by GPFS.
 */
async function dropOrphan(
  host: ServiceHost,
  store: RootStore,
  id: LocalId,
  { image: key }: Claim,
): Promise<void> {
  try {
    const now = (await store.snapshots.read(id))?.value;
    if (!key || now?.file?.key === key || (await store.hidden.read(key))) return;
    await ignoring(store.files.unlink(store.layout.data('snapshots', key)), 'ENOENT');
  } catch (error) {
    host.log.warn({ image: id, error }, 'the file of an import that was lost may be left');
  }
}

/** The images of a root, by name. */
export async function listImages(store: RootStore): Promise<readonly SnapshotRecord[]> {
  const found: SnapshotRecord[] = [];
  for (const shard of await store.snapshots.shards())
    for (const id of (await store.snapshots.ids(shard)).keys()) {
      const record = (await store.snapshots.read(id))?.value;
      if (record?.state === 'ready' && record.golden) found.push(record);
    }
  return found.sort((a, b) => ((a.golden?.name ?? '') < (b.golden?.name ?? '') ? -1 : 1));
}
