import { readHead } from '../../linux/disk-head.ts';
import { roundUp, sector, type Bytes } from '../../model/bytes.ts';
import { DriverError } from '../../model/fault.ts';
import { fileKey, localIdOf, type FileKey, type LocalId } from '../../model/ids.ts';
import { undefinedWhenMissing, type FileStat } from '../../run/files.ts';
import { isNotThere, exchanged, linkSame, unlinkSame, type NameIn } from '../../run/named/named.ts';
import type { Held } from '../../store/records.ts';
import { ignoring } from '../../store/edges.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { requireAlone, taken, type AdoptHost } from './adoptable.ts';
import { requireOwnHandle } from '../roots/handles.ts';
import { requireSameFileset } from '../images/import.ts';
import { operate } from '../claims/operate.ts';
import { endClaim } from '../claims/own-claim.ts';
import { asRecorded } from '../../model/sectors.ts';
import { settleVolume } from '../claims/settle.ts';

/** A file to adopt: the name of its volume, and the clone parent that it reads through. */
export interface Adoptee {
  readonly file: NameIn;
  readonly name: string;
  readonly parent: ParentOfAdoptee | null;
}

/** A clone parent that has a record, or gets one. */
export interface ParentOfAdoptee {
  readonly key: FileKey;
  readonly depth: number;
  readonly inode: bigint;
}

/** The key of an adopted file: each run gives the same. */
export const adoptedKey = (local: LocalId, inode: bigint): FileKey =>
  fileKey(local, 1, inode.toString(16));

/**
 * Makes a volume of a raw file in the fileset of the root, without copying. The file keeps its own name until the
 * volume is recorded, so that an interruption loses nothing; another run completes it. Throws wrong-state or
 * name-taken.
 */
export async function adoptFile(on: AdoptHost, adoptee: Adoptee): Promise<VolumeRecord> {
  const { host, store } = on;
  const id = localIdOf(adoptee.name);
  await requireOwnHandle(host, store, id);
  const stat = await requireRaw(on, adoptee);
  const held = await settleVolume(host, store, id);
  if (held && held.value.state !== 'deleted') {
    if (held.value.image?.inode !== stat.inode) throw taken(adoptee.name);
    await ignoring(unlinkSame(store.files, adoptee.file, stat), 'ENOENT');
    return held.value;
  }
  await requireAlone(on, adoptee.file);
  const record = await newRecord(on, adoptee, stat);
  const key = adoptedKey(id, stat.inode);
  const made = await operate(host, store, {
    id,
    from: held,
    plan: { op: 'create', image: key },
    during: record,
    work: (claimed) => takeIn(on, claimed, { ...adoptee, stat }, key),
  });
  await unlinkSame(store.files, adoptee.file, stat);
  return made.value;
}

/** Gives the file its name in the root, and there, where nobody can exchange it, checks it once more. */
async function takeIn(
  on: AdoptHost,
  claimed: Held<VolumeRecord>,
  { file, stat, parent: above }: Adoptee & { readonly stat: FileStat },
  key: FileKey,
): Promise<Held<VolumeRecord>> {
  const { store, gpfs } = on;
  const { parent, bytes } = claimed.value;
  if (parent !== null) await store.edges.add(parent, key);
  const path = store.layout.data('volumes', key);
  await store.makeIn(path, () => linkSame(store.files, file, stat, path));
  const status = await gpfs.clone.show(path);
  const isAsSeen =
    status.kind === 'clone'
      ? status.parentInode === above?.inode
      : status.kind === 'plain' && !above;
  if (!isAsSeen) throw exchanged(file.shown);
  await store.files.grow(path, bytes);
  await store.files.chmod(path, 0o660);
  const { inode, size } = await store.files.stat(path);
  return endClaim(store, claimed, () => ({ state: 'ready', bytes: size, image: { key, inode } }));
}

async function newRecord(
  { host, gpfs, sectorBytes }: AdoptHost,
  { file, name, parent }: Adoptee,
  { size }: FileStat,
): Promise<VolumeRecord> {
  const { pool, data, metadata } = await gpfs.attributes(file.shown);
  const sectors = asRecorded(await sectorBytes(file.path));
  const bytes = roundUp(size, sector);
  return {
    format: recordFormat,
    id: localIdOf(name),
    name,
    state: 'creating',
    bytes,
    asked: { requiredBytes: bytes, limitBytes: 0n, capabilities: [], parameters: {}, source: null },
    attributes: { pool, dataReplicas: data.copies, metadataReplicas: metadata.copies },
    options: {},
    context: {},
    image: null,
    parent: parent?.key ?? null,
    depth: parent ? parent.depth + 1 : 0,
    ...sectors,
    // So that no node ever formats it.
    content: { kind: 'unknown' },
    unchanged: false,
    attachments: [],
    createdMs: host.clock.now(),
    claim: null,
    retype: null,
  };
}

async function requireRaw(on: AdoptHost, { file, parent }: Adoptee): Promise<FileStat> {
  const { store, gpfs } = on;
  const { shown, path } = file;
  const bad = (why: string) => new DriverError('wrong-state', `${shown} cannot be adopted: ${why}`);
  const stat = await store.files.stat(path).catch(undefinedWhenMissing);
  if (!stat) throw bad(`it ${isNotThere}`);
  if (stat.kind !== 'file')
    throw bad(`it is a ${stat.kind}, not a file; name the raw disk file itself`);
  if (stat.size === 0n) throw bad('it is empty; a disk has sectors');
  await requireSameFileset(on, file);
  const head = await readHead(path, 4);
  if (Buffer.from(head).toString('latin1') === 'QFI\u00fb')
    throw bad('it is a qcow2 image, not a raw disk; import it with gpfs-csi image import');
  const status = await gpfs.clone.show(shown);
  if (status.kind === 'parent') throw bad('it is a clone parent; adopt the directory it lies in');
  if (status.kind === 'clone' && !parent)
    throw bad(`it reads through inode ${status.parentInode}; adopt the directory that has both`);
  return stat;
}

/** The PersistentVolume of an adopted volume, as YAML for kubectl. */
export function persistentVolume(
  volume: { readonly id: string; readonly bytes: Bytes; readonly name: string },
  driverName: string,
  nodes: Readonly<Record<string, string>> = {},
): string {
  const plain = /^[a-z0-9](?:[-a-z0-9.]{0,200}[a-z0-9])?$/;
  const name = plain.test(volume.name) ? volume.name : `adopted-${volume.id.replace('.', '-')}`;
  return `apiVersion: v1
kind: PersistentVolume
metadata:
  name: '${name.toLowerCase()}'
spec:
  capacity:
    storage: '${volume.bytes}'
  accessModes: [ReadWriteOnce]
  volumeMode: Block
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ''
  csi:
    driver: ${driverName}
    volumeHandle: '${volume.id}'
${nodeAffinity(nodes)}`;
}

/** The nodes that a PersistentVolume can be used on, as the external provisioner writes them. */
const nodeAffinity = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(
      ([key, value]) => `  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions:
            - key: ${key}
              operator: In
              values: [${value}]
`,
    )
    .join('');
