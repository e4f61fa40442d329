import { realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { roundUp, sector } from '../model/bytes.ts';
import type { Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import { qcow2HeaderBytes, readQcow2 } from '../model/qcow2.ts';
import { headBytes, sectorBytesOf } from '../model/sectors.ts';
import { readHead } from '../linux/imagefile.ts';
import type { QemuImg } from '../linux/qemuimg.ts';
import type { Gpfs } from '../gpfs/commands.ts';
import { bytesOf, writeSparse } from '../run/streams.ts';
import type { Progress } from '../run/streams.ts';
import { undefinedWhenMissing } from '../run/files.ts';
import { layoutOf } from '../store/layout.ts';
import type { RootStore } from '../store/root.ts';
import type { Incoming } from './images.ts';

/** How an image comes in. */
export interface Import {
  readonly name: string;
  /** A path, or a stream whose length nobody knows yet. */
  readonly from: string | AsyncIterable<Buffer>;
  readonly format: 'raw' | 'qcow2';
  /** `move`: the file itself becomes the image. `share`: it stays, and reads through the image from then on. */
  readonly how: 'copy' | 'move' | 'share';
}

/** What bringing images in stands on. */
export interface ImportHost {
  readonly store: RootStore;
  readonly gpfs: Gpfs;
  readonly qemu: QemuImg;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Looks at what is to come in, and refuses it before anything is made. */
export async function incomingOf(on: ImportHost, ask: Import): Promise<Incoming> {
  const { name, format, how } = ask;
  const about = { name, format, sectorBytes: sectorsIn };
  if (typeof ask.from !== 'string') return { ...about, bytes: 0n, ...streamed(on, ask.from) };
  const { from } = ask;
  const bytes = format === 'qcow2' ? await qcow2Size(on, from) : await rawSize(from, on);
  if (format === 'qcow2') return { ...about, bytes, ...converted(on, from) };
  switch (how) {
    case 'copy':
      return { ...about, bytes, ...streamed(on, bytesOf(from, on.signal)) };
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

async function qcow2Size({ qemu }: ImportHost, file: string): Promise<Bytes> {
  const found = readQcow2(await readHead(file, qcow2HeaderBytes));
  if ('problem' in found) throw bad(file, found.problem);
  await qemu.check(file);
  return roundUp(found.bytes, sector);
}

async function rawSize(file: string, { store }: ImportHost): Promise<Bytes> {
  const { kind, size } = await store.files.stat(file);
  if (kind !== 'file') throw bad(file, `is a ${kind}, not a file`);
  if (size === 0n) throw bad(file, 'is empty');
  return roundUp(size, sector);
}

const sectorsIn = async (path: string): Promise<512 | 4096> =>
  sectorBytesOf(await readHead(path, headBytes));

const streamed = (
  { store, progress }: ImportHost,
  from: AsyncIterable<Buffer>,
): Pick<Incoming, 'place'> => ({
  place: async (path) => {
    await store.check();
    const bytes = await writeSparse(from, path, 0o640, progress);
    if (bytes === 0) throw bad(path, 'is empty');
    await store.files.grow(path, roundUp(BigInt(bytes), sector));
    return false;
  },
});

const converted = ({ store, qemu, signal }: ImportHost, from: string): Pick<Incoming, 'place'> => ({
  place: async (path, bytes) => {
    await store.files.createSparse(path, bytes, 0o640);
    await qemu.toRaw(from, path, { signal });
    return false;
  },
});

/** Shared first: the file keeps its name and all it holds until the image is there for good. */
const moved = (on: ImportHost, from: string, bytes: Bytes): Pick<Incoming, 'place' | 'finish'> => ({
  place: async (path) => {
    await on.store.files.grow(from, bytes);
    return shared(on, from)(path, bytes);
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
  async (path) => {
    await store.check();
    await gpfs.clone.snap(from, path);
    return true;
  };

/** Throws wrong-state for what lies in a root, this one or another: it belongs to a volume, or to the driver itself. */
export async function requireOutside(
  { store }: Pick<ImportHost, 'store'>,
  file: string,
): Promise<void> {
  // Links on the way there must not hide that. What is only simulated has no other name.
  const path = await realpath(file).catch(() => resolve(file));
  for (let above = dirname(path); ; above = dirname(above)) {
    const { rootFile, state } = layoutOf(above);
    const kept = [state, ...['volumes', 'snapshots', 'hidden'].map((name) => join(above, name))];
    const isKept = kept.some((each) => path === each || path.startsWith(`${each}/`));
    if (isKept && (await store.files.stat(rootFile).catch(undefinedWhenMissing)))
      throw bad(
        file,
        `lies in root ${above}, whose files the driver keeps itself; make a snapshot or a clone of the volume, or write it out with gpfs-csi export`,
      );
    if (above === dirname(above)) return;
  }
}

/** Clones, and names that move, stay inside one fileset, outside of what the driver keeps. */
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
