import { realpath, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { roundUp, sector, showBytes, type Bytes } from '../../model/bytes.ts';
import { DriverError } from '../../model/fault.ts';
import { qcow2HeaderBytes, readQcow2 } from '../../model/qcow2.ts';
import type { SectorBytes } from '../../model/sectors.ts';
import { maximumBytes } from '../../model/sizing.ts';
import { headOf, sectorBytesIn } from '../../linux/disk-head.ts';
import type { QemuImg } from '../../linux/qemu-img.ts';
import type { Gpfs } from '../../gpfs/commands.ts';
import {
  bytesIn,
  fillSparse,
  keep,
  openForReading,
  openForWriting,
  openScratch,
  stoppedUnless,
  verified,
  whileAllowed,
  whileFilled,
  writeSparse,
  type Progress,
} from '../../run/streams.ts';
import { randomNonce } from '../../run/clock.ts';
import {
  isNotThere,
  exchanged,
  isSameFile,
  linkSame,
  unlinkSame,
  type NameIn,
} from '../../run/named/named.ts';
import { errnoOf, undefinedWhenMissing, type FileStat } from '../../run/files.ts';
import { statOf } from '../../run/host-files.ts';
import { layoutOf } from '../../store/layout.ts';
import type { RootStore } from '../../store/root.ts';
import type { Incoming } from './images.ts';

/** An image to import. */
export interface Import {
  readonly name: string;
  /** A file, or a stream of unknown length. */
  readonly from: NameIn | AsyncIterable<Buffer>;
  readonly format: 'raw' | 'qcow2';
  /** `move`: the file itself becomes the image. `share`: the file stays, and reads through the image afterwards. */
  readonly how: 'copy' | 'move' | 'share';
  /** SHA-256 of the source, in hex; a source with another one is refused. */
  readonly sha256?: string | undefined;
  /** The sectors that the disk was made for; undefined: as the disk itself says. */
  readonly sectorBytes?: SectorBytes | undefined;
}

/** What an import needs. */
export interface ImportHost {
  readonly store: RootStore;
  readonly gpfs: Gpfs;
  readonly qemu: QemuImg;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Closes what the import opens, when the command has ended. */
  readonly opened: AsyncDisposableStack;
}

/** The file of an import, as it was seen first. */
interface Source {
  readonly name: NameIn;
  readonly stat: FileStat;
}

/** A file that is read: opened once, from the first check to the last byte. */
interface OpenSource extends Source {
  readonly handle: FileHandle;
}

/** Checks the source of an import, and refuses it before anything is made. Throws wrong-state or no-space. */
export async function incomingOf(on: ImportHost, ask: Import): Promise<Incoming> {
  const { name, format, how, sectorBytes, from } = ask;
  const sectors = sectorBytes ? () => Promise.resolve(sectorBytes) : sectorBytesIn;
  const about = { name, format, sectorBytes: sectors };
  if (!('path' in from))
    return { ...about, bytes: 0n, place: streamed(on, verified(from, ask.sha256)) };
  const source = await requireFile(on, from);
  if (format === 'qcow2')
    return { ...about, ...(await converted(on, await openSource(on, source), ask)) };
  const bytes = rawSize(from.shown, source.stat);
  switch (how) {
    case 'copy':
      return { ...about, bytes, place: copied(on, await openSource(on, source), ask) };
    case 'move':
      await requireSameFileset(on, from);
      return { ...about, bytes, ...moved(on, source, bytes) };
    case 'share':
      await requireSameFileset(on, from);
      requireWhole(source);
      return { ...about, bytes, place: shared(on, source) };
  }
}

const bad = (file: string, why: string): DriverError =>
  new DriverError('wrong-state', `image ${file} ${why}`);

/** Throws wrong-state unless this is a regular file. A symbolic link is refused: its target may be anything. */
async function requireFile({ store }: ImportHost, name: NameIn): Promise<Source> {
  const stat = await store.files.stat(name.path).catch((error: unknown) => {
    throw errnoOf(error) === 'ENOENT' ? bad(name.shown, isNotThere) : error;
  });
  if (stat.kind !== 'file')
    throw bad(name.shown, `is a ${stat.kind}, not a file; name the disk file itself`);
  if (stat.size === 0n) throw bad(name.shown, 'is empty; was it copied whole?');
  return { name, stat };
}

async function openSource(on: ImportHost, source: Source): Promise<OpenSource> {
  const handle = on.opened.use(await openForReading(source.name.path));
  const stat = await statOf(handle);
  if (!isSameFile(stat, source.stat)) throw exchanged(source.name.shown);
  const { blocks } = await handle.stat({ bigint: true });
  await requireRoom(on, source.name, blocks * 512n);
  return { ...source, handle, stat };
}

function rawSize(file: string, { size }: FileStat): Bytes {
  if (size > maximumBytes)
    throw bad(
      file,
      `is larger than ${showBytes(maximumBytes)}, the most that a volume may have; shrink the disk first`,
    );
  return roundUp(size, sector);
}

/** Checked first, because a few KiB of qcow2 can hold terabytes of data, which would fill the file system. */
async function requireRoom({ store }: ImportHost, { shown }: NameIn, data: Bytes): Promise<void> {
  const { available } = await store.files.space(store.layout.root);
  if (data <= available) return;
  throw new DriverError(
    'no-space',
    `image ${shown} holds ${showBytes(data)} of data, and root ${store.layout.root} has ${showBytes(available)} free; add space, or make the image smaller`,
  );
}

/** Refuses an import whose file changed while it was read: every change of a file changes one of these fields. */
const copied =
  (on: ImportHost, source: OpenSource, ask: Import): Incoming['place'] =>
  async (path, bytes, may) => {
    const isParent = await streamed(on, whole(on, source, ask))(path, bytes, may);
    await requireSame(source);
    return isParent;
  };

async function requireSame({ name, handle, stat }: OpenSource): Promise<void> {
  const now = await statOf(handle);
  const keys = ['size', 'modifiedMs', 'changedMs'] as const;
  if (keys.every((key) => now[key] === stat[key])) return;
  throw bad(name.shown, 'changed while it was read; import it again when nobody writes to it');
}

const whole = (
  { signal }: ImportHost,
  { handle }: OpenSource,
  { sha256 }: Import,
): AsyncIterable<Buffer> => verified(bytesIn(handle, signal), sha256);

const streamed =
  ({ store, progress }: ImportHost, from: AsyncIterable<Buffer>): Incoming['place'] =>
  async (path, disk, may) => {
    await store.check();
    const bytes = await writeSparse(whileAllowed(from, may), path, 0o640, (done) => {
      progress(done, disk > 0n ? Number(disk) : undefined);
    });
    if (bytes === 0) throw bad(path, 'is empty; was the right file sent?');
    await store.files.grow(path, roundUp(BigInt(bytes), sector));
    return false;
  };

/**
 * Copies the image first, to a file that only the driver can change: it stays as it was checked, and no program needs
 * access to the directory that it came from.
 */
async function converted(
  on: ImportHost,
  source: OpenSource,
  ask: Import,
): Promise<Pick<Incoming, 'bytes' | 'place'>> {
  const { store, qemu, signal, progress } = on;
  const { name } = source;
  const readHeader = async (handle: FileHandle): Promise<Bytes> => {
    const found = readQcow2(await headOf(handle, qcow2HeaderBytes));
    if ('problem' in found) throw bad(name.shown, found.problem);
    return found.bytes;
  };
  await readHeader(source.handle);
  await store.check();
  const scratch = on.opened.use(await openScratch(temporaryOf(on, ask.name)));
  await fillSparse(whole(on, source, ask), scratch, (bytes) => {
    progress(bytes, Number(source.stat.size));
  });
  await requireSame(source);
  const disk = await readHeader(scratch);
  await requireRoom(on, name, await qemu.check(scratch, disk));
  const place: Incoming['place'] = async (path, bytes, may) => {
    await store.files.createSparse(path, bytes, 0o640);
    await using target = await openForWriting(path);
    const work = stoppedUnless(may, signal, (stop) =>
      qemu.toRaw(scratch, target, { signal: stop }),
    );
    await whileFilled(target, progress, work);
    await keep(target, 0o640);
    return false;
  };
  return { bytes: roundUp(disk, sector), place };
}

const temporaryOf = ({ store }: Pick<ImportHost, 'store'>, name: string): string =>
  join(store.layout.temporary, `import-${name}-${randomNonce()}`);

/** Shares first: the file keeps its name and its data until the image is recorded. */
const moved = (
  on: ImportHost,
  source: Source,
  bytes: Bytes,
): Pick<Incoming, 'place' | 'finish'> => ({
  place: shared(on, source, (path) => on.store.files.grow(path, bytes)),
  finish: () => unlinkSame(on.store.files, source.name, source.stat),
});

function requireWhole({ name, stat: { size } }: Source): void {
  if (size % sector !== 0n)
    throw bad(
      name.shown,
      `has ${size} bytes, no multiple of ${sector}; grow it, or import it as a copy`,
    );
}

/** mmclone takes a path, so the file gets a name in the root first, which nobody else can exchange. */
const shared =
  (
    { gpfs, store }: ImportHost,
    { name, stat }: Source,
    before?: (path: string) => Promise<unknown>,
  ): Incoming['place'] =>
  async (path, _bytes, may) => {
    await store.check();
    await may();
    const own = temporaryOf({ store }, basename(path));
    await linkSame(store.files, name, stat, own);
    try {
      await before?.(own);
      await gpfs.clone.snap(own, path);
      return true;
    } finally {
      await store.files.unlink(own);
    }
  };

/** Throws wrong-state for a file in a root, this one or another: it belongs to a volume, or to the driver itself. */
export async function requireOutside(
  { store }: Pick<ImportHost, 'store'>,
  { shown, path: held }: NameIn,
): Promise<void> {
  // Symbolic links in the path must not hide the root. A path of the in-memory simulator has none.
  const path = await realpath(held).catch(() => resolve(shown));
  for (let above = dirname(path); ; above = dirname(above)) {
    const { rootFile, state } = layoutOf(above);
    const data = ['volumes', 'snapshots', 'hidden'].map((name) => join(above, name));
    const kept = [state, ...data];
    const isKept = kept.some((each) => path === each || path.startsWith(`${each}/`));
    if (isKept && (await store.files.stat(rootFile).catch(undefinedWhenMissing)))
      throw bad(
        shown,
        `lies in root ${above}, whose files the driver keeps itself; make a snapshot or a clone of the volume, or write it out with gpfs-csi export`,
      );
    if (above === dirname(above)) return;
  }
}

/** Throws wrong-state unless the file is in the root's fileset and in no root: clones and renames stay in one fileset. */
export async function requireSameFileset(
  { gpfs, store }: Pick<ImportHost, 'gpfs' | 'store'>,
  file: NameIn,
): Promise<void> {
  await requireOutside({ store }, file);
  const { fileset } = await gpfs.attributes(file.shown);
  const [there, root] = await Promise.all([
    store.files.stat(file.path),
    store.files.stat(store.layout.rootFile),
  ]);
  if (fileset === store.facts.fileset && there.device === root.device) return;
  throw bad(
    file.shown,
    `is in fileset ${fileset}, and root ${store.layout.root} in ${store.facts.fileset}; import it as a copy, without --move or --share`,
  );
}
