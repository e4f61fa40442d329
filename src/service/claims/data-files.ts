import type { DataRef } from '../../model/clone-tree.ts';
import { DriverError } from '../../model/fault.ts';
import { errnoOf, type FileStat } from '../../run/files.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';

/** The absolute path of a data file. */
export const pathOf = (store: RootStore, { data, key }: DataRef): string =>
  store.layout.data(data, key);

/** The file of the image a record names as current. */
export const imageOf = (record: VolumeRecord): DataRef => {
  if (record.image) return { data: 'volumes', key: record.image.key };
  throw new DriverError('wrong-state', `volume ${record.id} has no image file yet`);
};

/** lstat, or undefined when nothing is there on a root that is there. */
export async function statOf(store: RootStore, path: string): Promise<FileStat | undefined> {
  try {
    return await store.files.stat(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await store.check();
    return undefined;
  }
}
