import type { Bytes } from '../../model/bytes.ts';
import type { DataRef } from '../../model/clone-tree.ts';
import { ownerOfKey, type FileKey } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { Content } from '../../store/schema/data.ts';

/** A clone parent, and what a child of it holds at first. */
export interface Parent {
  readonly ref: DataRef;
  readonly bytes: Bytes;
  readonly content: Content;
  readonly sectorBytes?: number | undefined;
  /** Its own clone parent, and how many there are above it at most. */
  readonly parent: FileKey | null;
  readonly depth?: number | undefined;
}

/** What the records say of a clone parent; undefined when they know none of this key. */
export async function parentRecord(store: RootStore, key: FileKey): Promise<Parent | undefined> {
  const hidden = await store.hidden.read(key);
  if (hidden) return { ...hidden.value, ref: { data: hidden.value.data, key } };
  const snapshot = await store.snapshots.read(ownerOfKey(key));
  if (snapshot?.value.file?.key !== key) return undefined;
  return { ...snapshot.value, ref: { data: 'snapshots', key } };
}
