import type { DataRef } from '../../model/clone-tree.ts';
import { DriverError } from '../../model/fault.ts';
import { ownerOfKey } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { statOf, pathOf } from '../claims/data-files.ts';

/**
 * Throws wrong-state unless the image is the one that the record names, or is gone: a changed record or a replaced
 * file must not delete another object's data.
 */
export async function requireOwnImage(store: RootStore, record: VolumeRecord): Promise<void> {
  const { image, id } = record;
  if (image) await requireOwn(store, 'volume', id, { data: 'volumes', ...image });
}

/** The same for the file of a snapshot. */
export async function requireOwnFile(store: RootStore, record: SnapshotRecord): Promise<void> {
  const { file, id } = record;
  if (file) await requireOwn(store, 'snapshot', id, { data: 'snapshots', ...file });
}

async function requireOwn(
  store: RootStore,
  what: string,
  id: string,
  file: DataRef & { readonly inode: bigint },
): Promise<void> {
  const path = pathOf(store, file);
  const stat = await statOf(store, path);
  if (!stat) return;
  const owner = ownerOfKey(file.key);
  if (owner === id && stat.inode === file.inode) return;
  const why =
    owner === id
      ? `${path} has inode ${stat.inode}, and its record says ${file.inode}`
      : `${path}, which its record names, belongs to ${owner}`;
  throw new DriverError(
    'wrong-state',
    `${what} ${id} cannot be deleted: ${why}; gpfs-csi doctor tells what to do`,
  );
}
