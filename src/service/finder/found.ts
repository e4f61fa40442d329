import { ownerOfKey, publicId } from '../../model/ids.ts';
import { nameShown } from '../../model/kubernetes.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';

/** An object of a root, with the record that says what it is. */
export type FoundObject =
  | {
      readonly kind: 'volume';
      readonly store: RootStore;
      readonly held: Held<VolumeRecord>;
    }
  | {
      /** A snapshot or a golden image. */
      readonly kind: 'snapshot';
      readonly store: RootStore;
      readonly held: Held<SnapshotRecord>;
    }
  | {
      /** A clone parent that no caller can name. */
      readonly kind: 'clone parent';
      readonly store: RootStore;
      readonly held: Held<HiddenRecord>;
    };

/** The handle that Kubernetes has of an object; of a clone parent, the handle that its snapshot had, or its key. */
export function handleOf({ kind, store, held }: FoundObject): string {
  switch (kind) {
    case 'volume':
      return held.value.handle ?? publicId(store.id, held.value.id);
    case 'snapshot':
      return publicId(store.id, held.value.id);
    case 'clone parent':
      return held.value.why === 'tombstone'
        ? publicId(store.id, ownerOfKey(held.value.id))
        : held.value.id;
  }
}

/** The key of its data file; undefined while it has none. */
export function keyOf({ kind, held }: FoundObject): string | undefined {
  switch (kind) {
    case 'volume':
      return held.value.image?.key;
    case 'snapshot':
      return held.value.file?.key;
    case 'clone parent':
      return held.value.id;
  }
}

/** What people call an object: its name in Kubernetes, else its own. */
export function calledBy({ kind, held }: FoundObject): string {
  if (kind === 'clone parent') return `of ${ownerOfKey(held.value.id)}`;
  if (kind === 'snapshot' && held.value.golden) return held.value.golden.name;
  return nameShown(held.value);
}

/** Tells an object from every other one that can be found. */
export const identityOf = ({ kind, store, held }: FoundObject): string =>
  `${store.id} ${kind} ${held.id}`;

/** The kind of an object in words that a person reads. */
export function kindWords({ kind, held }: FoundObject) {
  if (kind === 'snapshot')
    return held.value.golden ? ('golden image' as const) : ('snapshot' as const);
  if (kind === 'clone parent')
    return held.value.why === 'tombstone'
      ? ('deleted snapshot' as const)
      : ('clone parent' as const);
  return 'volume' as const;
}

/** Whether an object was deleted; its record stays for some time. */
export const isGone = ({ kind, held }: FoundObject): boolean =>
  kind !== 'clone parent' && held.value.state === 'deleted';
