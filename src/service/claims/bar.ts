import type { DataRef } from '../../model/clone-tree.ts';
import type { FileKey } from '../../model/ids.ts';
import { ignoring } from '../../store/edges.ts';
import type { RootStore } from '../../store/root.ts';
import type { BarredFile } from '../../store/schema/barred.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';
import { pathOf, statOf } from './data-files.ts';

type BarHost = Pick<ServiceHost, 'claims' | 'backlog' | 'log'>;

/** A file that a claim announces. */
type Announced = Pick<BarredFile, 'data' | 'key' | 'above'>;

function announcedByVolume(
  { id: root }: Pick<RootStore, 'id'>,
  { claim, parent: above }: VolumeRecord,
): readonly Announced[] {
  const files: Announced[] = [];
  const { op, parent, image } = claim ?? {};
  if (parent) files.push({ data: op === 'snapshot' ? 'snapshots' : 'hidden', key: parent, above });
  const source = parent ?? above ?? sourceHere(root, claim);
  if (image) files.push({ data: 'volumes', key: image, above: source });
  return files;
}

/** The source of a fill, unless it lies in another root: the notes of copies there keep its edge. */
const sourceHere = (root: string, claim: Claim | null): FileKey | null =>
  claim?.fill?.from?.root === root ? claim.fill.from.key : null;

/**
 * Makes sure that the files which a claim announces are there now, or never come. A server that is only silent may still
 * run its command, so a directory takes each name: then `mmclone` fails with EEXIST (docs/gpfs.md 1.1, 1.3). Called before
 * the claim is taken over. Nothing is done where that server and its commands are known to have ended.
 */
export const barVolume = (host: BarHost, store: RootStore, record: VolumeRecord): Promise<void> =>
  barAll(host, store, record, announcedByVolume(store, record));

/** The same for the claim of a snapshot or an import. */
export const barSnapshot = (
  host: BarHost,
  store: RootStore,
  record: SnapshotRecord,
): Promise<void> => {
  const key = record.claim?.image;
  return barAll(host, store, record, key ? [{ data: 'snapshots', key, above: null }] : []);
};

async function barAll(
  { claims }: Pick<BarHost, 'claims'>,
  store: RootStore,
  { claim }: Pick<VolumeRecord, 'claim'>,
  files: readonly Announced[],
): Promise<void> {
  if (!claim || files.length === 0) return;
  if ((await claims.fateOf(store, claim)) === 'gone') return;
  for (const file of files) {
    // First the note: without it, nobody would find the directory.
    await store.barred.note({ ...file, claim });
    await takeName(store, file);
  }
}

/** Takes the name of a file that is not there. */
async function takeName(store: RootStore, file: DataRef): Promise<void> {
  const path = pathOf(store, file);
  const made = store.makeIn(path, () => store.files.makeDirectory(path, 0o750));
  await ignoring(made, 'EEXIST', 'ENOTDIR');
  // Another server removed the note meanwhile, because no command can make the file any more.
  if (!(await store.barred.has(file.key))) await freeName(store, file);
}

/** Removes the directory that has the name of a file. Does nothing where the file itself is there. */
const freeName = (store: RootStore, file: DataRef): Promise<void> =>
  ignoring(store.files.removeDirectory(pathOf(store, file)), 'ENOENT', 'ENOTDIR');

/** Removes an image that was not finished. Where its name is barred, the name is taken again: nothing may make it later. */
export async function removeUnfinished(store: RootStore, file: DataRef): Promise<void> {
  await ignoring(store.files.unlink(pathOf(store, file)), 'ENOENT', 'EISDIR');
  if (await store.barred.has(file.key)) await takeName(store, file);
}

/** Whether another server barred a name that this claim announces. */
export async function isBarred(store: RootStore, record: VolumeRecord): Promise<boolean> {
  for (const { key } of announcedByVolume(store, record))
    if (await store.barred.has(key)) return true;
  return false;
}

/** Frees the barred names that no command can make any more, as their servers are gone or have ended that work. */
export async function freeBarred(host: BarHost, { freeing: store }: RootStore): Promise<void> {
  for (const file of await store.barred.all())
    if ((await host.claims.fateOf(store, file.claim)) === 'gone') await free(host, store, file);
}

/**
 * Runs work that has a claim of its own. Where it fails, another server may have barred its names, which are free again now
 * that the work has ended; the next heartbeat tries again what fails here.
 */
export async function freeingAfter<T>(
  host: BarHost,
  store: RootStore,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await freeBarred(host, store).catch((cause: unknown) => {
      host.log.debug({ cause }, 'barred names stay for now');
    });
    throw error;
  }
}

async function free(host: BarHost, store: RootStore, file: BarredFile): Promise<void> {
  const { key, above, claim } = file;
  await freeName(store, file);
  if (!(await statOf(store, pathOf(store, file)))) await dropEdges(host, store, { key, above });
  await store.barred.forget(key);
  // A server may have taken the name after the first call, and before the note was gone.
  await freeName(store, file);
  host.log.info(
    { key, node: claim.node },
    'freed the name of a file that no command can make any more',
  );
}

/** A server that woke up may have made edges to a file that never came, and have died before it removed them. */
async function dropEdges(
  { backlog }: Pick<BarHost, 'backlog'>,
  store: RootStore,
  { key, above }: { readonly key: FileKey; readonly above: FileKey | null },
): Promise<void> {
  for (const child of await store.edges.children(key)) await store.edges.remove(key, child);
  if (above === null) return;
  await store.edges.remove(above, key);
  await backlog.add(store, above);
}
