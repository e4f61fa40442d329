import type { Bytes } from '../../model/bytes.ts';
import type { DataRef } from '../../model/clone-tree.ts';
import { ownerOfKey, type FileKey } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { Content } from '../../store/schema/data.ts';
import { pathOf, statOf } from '../claims/data-files.ts';

/** A clone parent, and what a new child of it holds. */
export interface Parent {
  readonly ref: DataRef;
  readonly bytes: Bytes;
  readonly content: Content;
  readonly sectorBytes?: number | undefined;
  /** Its own clone parent; `depth`: the most clone parents that there may be above it. */
  readonly parent: FileKey | null;
  readonly depth?: number | undefined;
}

/** The clone parent of this key as the records have it; undefined where none has the key. */
export async function parentRecord(store: RootStore, key: FileKey): Promise<Parent | undefined> {
  const hidden = await store.hidden.read(key);
  if (hidden) return { ...hidden.value, ref: { data: hidden.value.data, key } };
  const snapshot = await store.snapshots.read(ownerOfKey(key));
  if (snapshot?.value.file?.key !== key) return undefined;
  return { ...snapshot.value, ref: { data: 'snapshots', key } };
}

/**
 * A clone parent with the size of its file. Records of older versions may name another size, and a child begins with
 * that of the file.
 */
export async function asCut(store: RootStore, parent: Parent): Promise<Parent> {
  const stat = await statOf(store, pathOf(store, parent.ref));
  return stat ? { ...parent, bytes: stat.size } : parent;
}
