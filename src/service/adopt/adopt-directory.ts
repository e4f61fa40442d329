import { basename, dirname } from 'node:path';
import type { CloneStatus } from '../../gpfs/mmclone.ts';
import { DriverError } from '../../model/fault.ts';
import { imageId, localIdOf, type FileKey, type LocalId } from '../../model/ids.ts';
import { undefinedWhenMissing, type FileStat } from '../../run/files.ts';
import { exchanged, isSameFile, nameIn, type NameIn } from '../../run/named/named.ts';
import { undefinedWhenUnreadable } from '../../store/json.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { requireOutside } from '../images/import.ts';
import { requireFreeSnapshot, requireFreeVolume, type AdoptHost } from './adoptable.ts';
import { adoptFile, adoptedKey, type ParentOfAdoptee } from './adopt.ts';
import { asRecorded } from '../../model/sectors.ts';

/** A file of the directory, with its place in the clone tree. */
interface Seen {
  readonly file: NameIn;
  readonly name: string;
  readonly stat: FileStat;
  readonly status: CloneStatus;
  readonly kind: 'volume' | 'snapshot' | 'image' | 'hidden';
}

/** How the caller follows the adoption of a directory, and stops it between two files. */
export interface AdoptFollower {
  readonly onVolume: (volume: VolumeRecord) => void;
  readonly signal: AbortSignal;
}

/** What was adopted of a directory, except its volumes. */
export interface Adopted {
  readonly snapshots: readonly LocalId[];
  /** Clone parents that Cinder neither made for a clone nor deleted as a snapshot. */
  readonly images: readonly string[];
  /** Files that were not adopted, each with the reason. */
  readonly left: readonly string[];
}

const volumeName = /^volume-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const hiddenName = /\.(?:snap|ts)$/;
const snapshotName = /^snapshot-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Makes volumes and snapshots of a directory that Cinder's GPFS driver kept, with its clone tree. Parents come
 * before their children, and every edge before the first record, so that no parent is reclaimed in between.
 * `onVolume` is called as soon as a volume is adopted: another run after an interruption does not see it again.
 */
export async function adoptDirectory(
  on: AdoptHost,
  directory: NameIn,
  { onVolume, signal }: AdoptFollower,
): Promise<Adopted> {
  await requireOutside(on, directory);
  const found = await look(on, directory);
  const seen = readThrough(found.seen);
  for (const each of seen) await requireFree(on, each);
  const parents = await parentsOf(on.store, seen);
  for (const each of seen) {
    const above = aboveOf(each, parents);
    if (above) await on.store.edges.add(above.key, keyOf(each));
  }
  const inOrder = [...seen].sort((a, b) => depthOf(a, parents) - depthOf(b, parents));
  const snapshots: LocalId[] = [];
  for (const each of inOrder.filter(({ kind }) => kind !== 'volume')) {
    signal.throwIfAborted();
    await adoptParent(on, each, aboveOf(each, parents));
    if (each.kind === 'snapshot') snapshots.push(localIdOf(each.name));
  }
  for (const each of seen.filter(({ kind }) => kind === 'volume')) {
    signal.throwIfAborted();
    onVolume(await adoptFile(on, { ...each, parent: aboveOf(each, parents) ?? null }));
  }
  const unread = found.seen.filter((each) => !seen.includes(each));
  const images = seen.filter(({ kind }) => kind === 'image').map(({ name }) => name);
  return { snapshots, images, left: [...found.left, ...unread.map(whyUnread)] };
}

/** Throws for a file that cannot be adopted, before anything is changed. */
async function requireFree(on: AdoptHost, each: Seen): Promise<void> {
  if (each.kind === 'hidden') return;
  const candidate = { ...each, id: idOf(each) };
  await (each.kind === 'volume' ? requireFreeVolume : requireFreeSnapshot)(on, candidate);
}

/**
 * The files without the clone parents that no other file here reads through. As tombstones the next sweep would
 * remove them, and one may be an image that is still needed.
 */
function readThrough(seen: readonly Seen[]): readonly Seen[] {
  const read = new Set(seen.map(parentInode));
  const kept = seen.filter(
    ({ kind, stat }) => ['volume', 'snapshot'].includes(kind) || read.has(stat.inode),
  );
  return kept.length === seen.length ? kept : readThrough(kept);
}

const whyUnread = ({ name }: Seen): string =>
  `${name}: a clone parent that nothing here reads through; import it as an image`;

async function look({ store, gpfs }: AdoptHost, directory: NameIn) {
  const seen: Seen[] = [];
  const left: string[] = [];
  for (const name of await store.files.list(directory.path)) {
    const file = nameIn(directory, name);
    const stat = await store.files.stat(file.path);
    const status = stat.kind === 'file' ? await gpfs.clone.show(file.shown) : undefined;
    const kind = status && kindOf(name, status);
    if (status && kind) seen.push({ file, name, stat, status, kind });
    else
      left.push(`${name}: ${stat.kind === 'file' ? 'no name of a volume or snapshot' : stat.kind}`);
  }
  return { seen, left };
}

function kindOf(name: string, status: CloneStatus): Seen['kind'] | undefined {
  if (status.kind === 'parent') {
    if (snapshotName.test(name)) return 'snapshot';
    // Cinder's own: the parent of a clone, and a snapshot that it deleted. Any other clone parent is an image.
    return hiddenName.test(name) ? 'hidden' : 'image';
  }
  return volumeName.test(name) ? 'volume' : undefined;
}

const keyOf = ({ name, stat, kind }: Seen): FileKey =>
  adoptedKey(kind === 'hidden' ? hiddenId(stat.inode) : idOf({ name, kind }), stat.inode);

const idOf = ({ name, kind }: Pick<Seen, 'name' | 'kind'>): LocalId =>
  kind === 'image' ? imageId(name) : localIdOf(name);

const hiddenId = (inode: bigint): LocalId => localIdOf(`adopted-${inode}`);

const parentInode = ({ status }: Seen): bigint | undefined =>
  status.kind === 'plain' ? undefined : status.parentInode;

/** Every clone parent that a file of the directory reads through, including those that an earlier run adopted. */
async function parentsOf(
  store: RootStore,
  seen: readonly Seen[],
): Promise<ReadonlyMap<bigint, ParentOfAdoptee>> {
  const found = new Map<bigint, ParentOfAdoptee>();
  for (const each of seen.filter(({ kind }) => kind !== 'volume'))
    found.set(each.stat.inode, {
      key: keyOf(each),
      depth: statedDepth(each),
      inode: each.stat.inode,
    });
  for (const each of seen) {
    const inode = parentInode(each);
    if (inode === undefined || found.has(inode)) continue;
    const known = await adoptedBefore(store, inode);
    if (!known)
      throw new DriverError(
        'wrong-state',
        `${each.file.shown} reads through inode ${inode}, which is not in ${basename(dirname(each.file.shown))}; bring both into one directory, or split it with mmclone`,
      );
    found.set(inode, known);
  }
  return found;
}

/** A parent that an earlier run adopted before it was interrupted. */
async function adoptedBefore(
  store: RootStore,
  inode: bigint,
): Promise<ParentOfAdoptee | undefined> {
  const hidden = await store.hidden.read(adoptedKey(hiddenId(inode), inode));
  if (hidden) return { key: hidden.value.id, depth: hidden.value.depth ?? 0, inode };
  for (const shard of await store.snapshots.shards())
    for (const id of (await store.snapshots.ids(shard)).keys()) {
      const found = await snapshotOf(store, id, inode);
      if (found) return found;
    }
  return undefined;
}

async function snapshotOf(
  store: RootStore,
  id: string,
  inode: bigint,
): Promise<ParentOfAdoptee | undefined> {
  const held = await store.snapshots.read(id).catch(undefinedWhenUnreadable(store.bad));
  const record = held?.value;
  if (record?.file?.inode !== inode) return undefined;
  // The record of a deleted snapshot is kept for some time, and another file may have its inode number.
  const path = store.layout.data('snapshots', record.file.key);
  const file = await store.files.stat(path).catch(undefinedWhenMissing);
  if (file?.inode !== inode) return undefined;
  return { key: record.file.key, depth: record.depth ?? 0, inode };
}

const aboveOf = (
  each: Seen,
  parents: ReadonlyMap<bigint, ParentOfAdoptee>,
): ParentOfAdoptee | undefined => {
  const inode = parentInode(each);
  return inode === undefined ? undefined : parents.get(inode);
};

// As mmclone shows it: an upper bound, as in records.
const statedDepth = ({ status }: Seen): number => (status.kind === 'plain' ? 0 : status.depth);

const depthOf = (each: Seen, parents: ReadonlyMap<bigint, ParentOfAdoptee>): number =>
  aboveOf(each, parents) ? statedDepth(each) : 0;

async function adoptParent(
  { store, host, sectorBytes }: AdoptHost,
  each: Seen,
  above: ParentOfAdoptee | undefined,
): Promise<void> {
  const key = keyOf(each);
  const sectors = asRecorded(await sectorBytes(each.file.path));
  const common = {
    format: recordFormat,
    parent: above?.key ?? null,
    depth: statedDepth(each),
    bytes: each.stat.size,
    content: { kind: 'unknown' as const },
    ...sectors,
    createdMs: each.stat.modifiedMs,
    claim: null,
  };
  const data = each.kind === 'hidden' ? ('hidden' as const) : ('snapshots' as const);
  if (each.kind === 'hidden' && !(await store.hidden.read(key))) {
    const record: HiddenRecord = {
      ...common,
      id: key,
      why: 'tombstone',
      state: 'waiting',
      data: 'hidden',
    };
    await store.hidden.swap(key, undefined, record, 'name');
  }
  if (each.kind !== 'hidden')
    await recordSnapshot(store, each, { ...common, createdMs: host.clock.now() });
  const path = store.layout.data(data, key);
  await store.makeIn(path, () => store.files.rename(each.file.path, path));
  await requireMoved(store, each, path);
  await store.files.chmod(path, 0o640);
}

/** Gives a file back that took the place of the one that was seen, and throws. */
async function requireMoved(store: RootStore, { file, stat }: Seen, path: string): Promise<void> {
  if (isSameFile(await store.files.stat(path), stat)) return;
  await store.files.rename(path, file.path);
  throw exchanged(file.shown);
}

async function recordSnapshot(
  store: RootStore,
  { name, kind, stat }: Seen,
  common: Pick<
    SnapshotRecord,
    'format' | 'parent' | 'bytes' | 'content' | 'sectorBytes' | 'createdMs' | 'claim'
  >,
): Promise<void> {
  const id = idOf({ name, kind });
  const held = await store.snapshots.read(id);
  if (held && held.value.state !== 'deleted') return;
  const record: SnapshotRecord = {
    ...common,
    id,
    name: kind === 'image' ? `image-${name}` : name,
    state: 'ready',
    // Cinder keeps the volume of a snapshot in its database, not with the file.
    volume: kind === 'image' ? id : localIdOf(`unknown-${name}`),
    ...(kind === 'image' ? { golden: { name, format: 'raw' as const } } : {}),
    file: { key: adoptedKey(id, stat.inode), inode: stat.inode },
    attributes: {},
  };
  await store.snapshots.swap(id, held, record, 'name');
}
