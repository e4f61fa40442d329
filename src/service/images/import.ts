import { realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { roundUp, sector, showBytes, type Bytes } from '../../model/bytes.ts';
import { DriverError } from '../../model/fault.ts';
import { qcow2HeaderBytes, readQcow2 } from '../../model/qcow2.ts';
import type { SectorBytes } from '../../model/sectors.ts';
import { maximumBytes } from '../../model/sizing.ts';
import { readHead, sectorBytesIn } from '../../linux/disk-head.ts';
import type { QemuImg } from '../../linux/qemu-img.ts';
import type { Gpfs } from '../../gpfs/commands.ts';
import {
  bytesOf,
  keep,
  stoppedUnless,
  verified,
  whileAllowed,
  whileFilled,
  writeSparse,
  type Progress,
} from '../../run/streams.ts';
import { undefinedWhenMissing, type FileStat } from '../../run/files.ts';
import { layoutOf } from '../../store/layout.ts';
import type { RootStore } from '../../store/root.ts';
import type { Incoming } from './images.ts';

/** An image to import. */
export interface Import {
  readonly name: string;
  /** A path, or a stream of unknown length. */
  readonly from: string | AsyncIterable<Buffer>;
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
}

/** Checks the source of an import, and refuses it before anything is made. Throws wrong-state or no-space. */
export async function incomingOf(on: ImportHost, ask: Import): Promise<Incoming> {
  const { name, format, how, sectorBytes } = ask;
  const sectors = sectorBytes ? () => Promise.resolve(sectorBytes) : sectorBytesIn;
  const about = { name, format, sectorBytes: sectors };
  if (typeof ask.from !== 'string')
    return {
      ...about,
      bytes: 0n,
      place: streamed(on, verified(ask.from, ask.sha256)),
    };
  const { from } = ask;
  const file = await requireFile(on, from);
  const bytes = format === 'qcow2' ? await qcow2Size(on, from) : rawSize(from, file);
  if (format === 'qcow2') {
    await requireDigest(on, ask);
    return { ...about, bytes, place: whileSame(on, from, file, converted(on, from)) };
  }
  switch (how) {
    case 'copy':
      await requireRoom(on, from, await on.store.files.held(from));
      return { ...about, bytes, place: whileSame(on, from, file, streamed(on, whole(on, ask))) };
    case 'move':
      await requireSameFileset(on, from);
      return { ...about, bytes, ...moved(on, from, bytes) };
    case 'share':
      await requireSameFileset(on, from);
      await requireWhole(on, from);
      return { ...about, bytes, place: shared(on, from) };
  }
}

const bad = (file: string, why: string): DriverError =>
  new DriverError('wrong-state', `image ${file} ${why}`);

/** Throws wrong-state unless this is a regular file. A symbolic link is refused: its target may change before it is read. */
async function requireFile({ store }: ImportHost, file: string): Promise<FileStat> {
  const stat = await store.files.stat(file);
  if (stat.kind !== 'file') throw bad(file, `is a ${stat.kind}, not a file`);
  if (stat.size === 0n) throw bad(file, 'is empty');
  return stat;
}

async function qcow2Size(on: ImportHost, file: string): Promise<Bytes> {
  const found = readQcow2(await readHead(file, qcow2HeaderBytes));
  if ('problem' in found) throw bad(file, found.problem);
  await requireRoom(on, file, await on.qemu.check(file, found.bytes));
  return roundUp(found.bytes, sector);
}

function rawSize(file: string, { size }: FileStat): Bytes {
  if (size > maximumBytes) throw bad(file, `is larger than ${showBytes(maximumBytes)}`);
  return roundUp(size, sector);
}

/** Checked first, because a few KiB of qcow2 can hold terabytes of data, which would fill the file system. */
async function requireRoom({ store }: ImportHost, file: string, data: Bytes): Promise<void> {
  const { available } = await store.files.space(store.layout.root);
  if (data <= available) return;
  throw new DriverError(
    'no-space',
    `image ${file} holds ${showBytes(data)} of data, and root ${store.layout.root} has ${showBytes(available)} free; add space, or make the image smaller`,
  );
}

/** Refuses an import whose file changed while it was read: every change of a file changes one of these fields. */
const whileSame =
  (
    { store }: ImportHost,
    file: string,
    before: FileStat,
    place: Incoming['place'],
  ): Incoming['place'] =>
  async (path, bytes, may) => {
    const isParent = await place(path, bytes, may);
    const now = await store.files.stat(file);
    const keys = ['kind', 'device', 'inode', 'size', 'modifiedMs', 'changedMs'] as const;
    if (keys.every((key) => now[key] === before[key])) return isParent;
    throw bad(file, 'changed while it was read; import it again when nobody writes to it');
  };

const whole = ({ signal }: ImportHost, { from, sha256 }: Import): AsyncIterable<Buffer> =>
  verified(typeof from === 'string' ? bytesOf(from, signal) : from, sha256);

async function requireDigest(on: ImportHost, ask: Import): Promise<void> {
  if (ask.sha256 === undefined) return;
  const bytes = whole(on, ask)[Symbol.asyncIterator]();
  while (!(await bytes.next()).done);
}

const streamed =
  ({ store, progress }: ImportHost, from: AsyncIterable<Buffer>): Incoming['place'] =>
  async (path, _bytes, may) => {
    await store.check();
    const bytes = await writeSparse(whileAllowed(from, may), path, 0o640, progress);
    if (bytes === 0) throw bad(path, 'is empty');
    await store.files.grow(path, roundUp(BigInt(bytes), sector));
    return false;
  };

const converted =
  ({ store, qemu, signal, progress }: ImportHost, from: string): Incoming['place'] =>
  async (path, bytes, may) => {
    await store.files.createSparse(path, bytes, 0o640);
    const work = stoppedUnless(may, signal, (stop) => qemu.toRaw(from, path, { signal: stop }));
    await whileFilled(path, progress, work);
    await keep(path, 0o640);
    return false;
  };

/** Shares first: the file keeps its name and its data until the image is recorded. */
const moved = (on: ImportHost, from: string, bytes: Bytes): Pick<Incoming, 'place' | 'finish'> => ({
  place: async (path, _bytes, may) => {
    await on.store.files.grow(from, bytes);
    return shared(on, from)(path, bytes, may);
  },
  finish: () => on.store.files.unlink(from),
});

async function requireWhole({ store }: ImportHost, file: string): Promise<void> {
  const { size } = await store.files.stat(file);
  if (size % sector !== 0n)
    throw bad(file, `has ${size} bytes, no multiple of ${sector}; grow it, or import it as a copy`);
}

const shared =
  ({ gpfs, store }: ImportHost, from: string): Incoming['place'] =>
  async (path, _bytes, may) => {
    await store.check();
    await may();
    await gpfs.clone.snap(from, path);
    return true;
  };

/** Throws wrong-state for a file in a root, this one or another: it belongs to a volume, or to the driver itself. */
export async function requireOutside(
  { store }: Pick<ImportHost, 'store'>,
  file: string,
): Promise<void> {
  // Symbolic links in the path must not hide the root. A path of the in-memory simulator has none.
  const path = await realpath(file).catch(() => resolve(file));
  for (let above = dirname(path); ; above = dirname(above)) {
    const { rootFile, state } = layoutOf(above);
    const data = ['volumes', 'snapshots', 'hidden'].map((name) => join(above, name));
    const kept = [state, ...data];
    const isKept = kept.some((each) => path === each || path.startsWith(`${each}/`));
    if (isKept && (await store.files.stat(rootFile).catch(undefinedWhenMissing)))
      throw bad(
        file,
        `lies in root ${above}, whose files the driver keeps itself; make a snapshot or a clone of the volume, or write it out with gpfs-csi export`,
      );
    if (above === dirname(above)) return;
  }
}

/** Throws wrong-state unless the file is in the root's fileset and in no root: clones and renames stay in one fileset. */
export async function requireSameFileset(
  { gpfs, store }: Pick<ImportHost, 'gpfs' | 'store'>,
  file: string,
): Promise<void> {
  await requireOutside({ store }, file);
  const { fileset } = await gpfs.attributes(file);
  const [there, root] = await Promise.all([
    store.files.stat(file),
    store.files.stat(store.layout.rootFile),
  ]);
  if (fileset === store.facts.fileset && there.device === root.device) return;
  throw bad(
    file,
    `is in fileset ${fileset}, and root ${store.layout.root} in ${store.facts.fileset}; import it as a copy, without --move or --share`,
  );
}
