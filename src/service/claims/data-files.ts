import type { Bytes } from '../../model/bytes.ts';
import type { DataRef } from '../../model/clone-tree.ts';
import { DriverError } from '../../model/fault.ts';
import { errnoOf, type FileStat } from '../../run/files.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';

/** The absolute path of a data file. */
export const pathOf = (store: RootStore, { data, key }: DataRef): string =>
  store.layout.data(data, key);

/** The file of the image that a volume has now. Throws wrong-state where it has none yet. */
export const imageOf = (record: VolumeRecord): DataRef => {
  if (record.image) return { data: 'volumes', key: record.image.key };
  throw new DriverError(
    'wrong-state',
    `volume ${record.id} has no image file yet; ask again when it is ready`,
  );
};

/**
 * lstat of a data file; undefined where there is no such file, or where a directory has its name, so that no command makes
 * it (claims/bar.ts). Throws unavailable where the root itself is not there.
 */
export async function statOf(store: RootStore, path: string): Promise<FileStat | undefined> {
  try {
    const stat = await store.files.stat(path);
    return stat.kind === 'directory' ? undefined : stat;
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await store.check();
    return undefined;
  }
}

/**
 * Bytes that a data file holds itself, without what it reads through its parents: the one place that knows
 * where block counts come from. On GPFS `mmclone snap` moves them to the parent, and they lag on other nodes.
 * Rejects with ENOENT where the file is not there.
 */
export const heldBytes = (store: RootStore, file: DataRef): Promise<Bytes> =>
  store.files.held(pathOf(store, file));
