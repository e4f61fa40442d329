import type { Bytes } from '../model/bytes.ts';
import type { DataKind } from './layout.ts';
import type { FileKey } from '../model/ids.ts';
import type { RootStore } from './root.ts';

/**
 * Bytes that a data file holds itself, without what it reads through its parents: the one place that knows
 * where block counts come from. On GPFS `mmclone snap` moves them to the parent, and they lag on other nodes.
 * Rejects with ENOENT where the file is not there.
 */
export const heldBytes = (
  store: RootStore,
  { data, key }: { readonly data: DataKind; readonly key: FileKey },
): Promise<Bytes> => store.files.held(store.layout.data(data, key));
