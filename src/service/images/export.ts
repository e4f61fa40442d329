import type { FileHandle } from 'node:fs/promises';
import { DriverError, isFault } from '../../model/fault.ts';
import { localIdOf, parseId, publicId, type LocalId } from '../../model/ids.ts';
import type { QemuImg } from '../../linux/qemu-img.ts';
import { errnoOf } from '../../run/files.ts';
import {
  bytesIn,
  counted,
  fillSparse,
  makeWhole,
  openForReading,
  whileFilled,
  type Progress,
} from '../../run/streams.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { Nonce } from '../../run/clock.ts';
import type { NameIn } from '../../run/named/named.ts';
import type { Snapshots } from '../api.ts';
import { findOne } from '../finder/find.ts';

/** What to export, and where to. */
export interface Export {
  /** A volume or snapshot, in any word that `findObjects` understands. */
  readonly what: string;
  readonly format: 'raw' | 'qcow2';
  /** A name that does not exist yet, or a stream. */
  readonly to: NameIn | { write(bytes: AsyncIterable<Buffer>): Promise<void> };
}

/** What an export needs. */
export interface ExportHost {
  readonly snapshots: Pick<Snapshots, 'create' | 'remove'>;
  readonly nonce: Nonce;
  readonly store: RootStore;
  readonly qemu: QemuImg;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Writes the data of a volume, as of one moment, or of a snapshot. Throws volume-missing where there is neither,
 * and name-taken where the target exists.
 */
export async function exportDisk(on: ExportHost, ask: Export): Promise<void> {
  const { store } = on;
  const { kind, held } = await toExport(store, ask.what);
  await using file =
    kind === 'volume' ? await momentOf(on, held.value) : await snapshotFile(store, held.value.id);
  await write(on, ask, file);
}

/**
 * The data of a volume as of now, as an open file. The snapshot that keeps it is deleted at once, so that a command
 * that is killed leaves none.
 */
async function momentOf(
  { snapshots, nonce, store }: ExportHost,
  volume: VolumeRecord,
): Promise<FileHandle> {
  // The volume may be in use, and all that is read must be of one moment.
  const name = `export-${volume.id.slice(0, 40)}-${nonce()}`;
  const sourceVolumeId = publicId(store.id, volume.id);
  const { id } = await snapshots.create({ name, sourceVolumeId, parameters: new Map() });
  try {
    return await snapshotFile(store, localIdOf(name));
  } finally {
    await snapshots.remove(id);
  }
}

async function toExport(store: RootStore, what: string) {
  try {
    return await findOne([store], what, ['volume', 'snapshot']);
  } catch (error) {
    const handle = parseId(what);
    if (!isFault(error, 'volume-missing') || !handle || handle.root === store.id) throw error;
    throw new DriverError(
      'volume-missing',
      `${what} belongs to root ${handle.root}, and ${store.layout.root} is ${store.id}; name its root with --root`,
    );
  }
}

async function snapshotFile(store: RootStore, id: LocalId): Promise<FileHandle> {
  const record = (await store.snapshots.read(id))?.value;
  if (record?.state === 'ready' && record.file)
    return openForReading(store.layout.data('snapshots', record.file.key));
  throw new DriverError(
    'volume-missing',
    `root ${store.layout.root} has no volume or snapshot ${id}; gpfs-csi tree shows those that it has`,
  );
}

async function write({ qemu, progress, signal }: ExportHost, ask: Export, file: FileHandle) {
  const { to } = ask;
  const { size } = await file.stat();
  const ofDisk: Progress = (bytes) => {
    progress(bytes, size);
  };
  if (!('path' in to)) return to.write(counted(bytesIn(file, signal), ofDisk));
  await makeWhole(to, async (draft) => {
    if (ask.format === 'qcow2')
      await whileFilled(draft, progress, qemu.toQcow2(file, draft, { signal }));
    else await fillSparse(bytesIn(file, signal), draft, ofDisk);
  }).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new DriverError(
      'name-taken',
      `${to.shown} is there already; export to another file`,
      error,
    );
  });
}
