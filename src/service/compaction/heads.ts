import type { Bytes } from '../../model/bytes.ts';
import type { DataRef } from '../../model/clone-tree.ts';
import { DriverError } from '../../model/fault.ts';
import { ownerOfKey, type FileKey, type LocalId } from '../../model/ids.ts';
import type { Held, Records } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { releaseClaim } from '../claims/claims.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';

/** A file below a clone parent that may be redirected, with its record. */
export interface Head {
  readonly kind: 'volume' | 'snapshot' | 'hidden';
  /** The id of its record. */
  readonly id: string;
  readonly ref: DataRef;
  readonly path: string;
  readonly bytes: Bytes;
  readonly parent: FileKey | null;
  readonly claim: Claim | null;
  /** The record of the volume, where the file is the image of one. */
  readonly volume: VolumeRecord | undefined;
  /** Writes the claim into the version that was read. Throws busy when there is a newer version. */
  begin(claim: Claim, depth: number | undefined): Promise<void>;
  /**
   * Removes the claim, and records the new parent where the file was moved. Throws busy when the claim was taken
   * over.
   */
  end(claim: Claim, moved: { readonly to: FileKey | null } | undefined): Promise<void>;
  /** Marks the claim in the record as released; does nothing where the record has another claim. */
  release(claim: Claim): Promise<void>;
  /** Keeps why work under a claim failed, for the history of the record. */
  failing(claim: Claim, error: unknown): void;
  /** The claim that the record has now. */
  claimNow(): Promise<Claim | null>;
}

type HeadRecord = VolumeRecord | SnapshotRecord | HiddenRecord;

/** The volume of this id as a head; undefined unless it is ready and has an image. */
export async function volumeHead(store: RootStore, id: LocalId): Promise<Head | undefined> {
  const held = await store.volumes.read(id);
  if (held?.value.state !== 'ready' || !held.value.image) return undefined;
  const moved = (now: VolumeRecord, to: FileKey | null): VolumeRecord => ({
    ...under(now, to),
    // The new parent does not hold what the volume holds, so no clone may share it.
    unchanged: false,
  });
  const ref = { data: 'volumes', key: held.value.image.key } as const;
  return {
    ...headOf(store.volumes, held, moved),
    ...at(store, ref),
    kind: 'volume',
    volume: held.value,
  };
}

/** The hidden parent, snapshot or volume whose data file this is; undefined when no valid record names it. */
export async function headWith(store: RootStore, key: FileKey): Promise<Head | undefined> {
  const hidden = await store.hidden.read(key);
  if (hidden?.value.state === 'waiting') {
    const place = at(store, { data: hidden.value.data, key });
    return { ...headOf(store.hidden, hidden, under), ...place, kind: 'hidden', volume: undefined };
  }
  const snapshot = await snapshotHead(store, key);
  if (snapshot) return snapshot;
  const volume = await volumeHead(store, ownerOfKey(key));
  return volume?.ref.key === key ? volume : undefined;
}

async function snapshotHead(store: RootStore, key: FileKey): Promise<Head | undefined> {
  const held = await store.snapshots.read(ownerOfKey(key));
  if (held?.value.state !== 'ready' || held.value.file?.key !== key) return undefined;
  const place = at(store, { data: 'snapshots', key });
  return {
    ...headOf(store.snapshots, held, under),
    ...place,
    kind: 'snapshot',
    volume: undefined,
  };
}

const at = (store: RootStore, ref: DataRef): Pick<Head, 'ref' | 'path'> => ({
  ref,
  path: store.layout.data(ref.data, ref.key),
});

const under = <T extends HeadRecord>(now: T, to: FileKey | null): T => ({
  ...now,
  parent: to,
  ...(now.depth === undefined ? {} : { depth: to === null ? 0 : Math.max(0, now.depth - 1) }),
});

function headOf<T extends HeadRecord>(
  records: Records<T>,
  held: Held<T>,
  moved: (now: T, to: FileKey | null) => T,
) {
  const { id, value } = held;
  return {
    id,
    bytes: value.bytes,
    parent: value.parent,
    claim: value.claim,
    begin: async (claim: Claim, depth: number | undefined) => {
      const exact = depth === undefined ? {} : { depth };
      await records.swap(id, held, { ...value, ...exact, claim }, 'name');
    },
    end: async (claim: Claim, to: { readonly to: FileKey | null } | undefined) => {
      const change = (now: T): T => {
        if (now.claim?.nonce !== claim.nonce)
          throw new DriverError('busy', `${id} was taken over by another server; try again`);
        return { ...(to ? moved(now, to.to) : now), claim: null };
      };
      await records.update(id, change, 'name');
    },
    release: (claim: Claim) => releaseClaim(records, id, claim),
    failing: (claim: Claim, error: unknown) => {
      records.failing(claim, error);
    },
    claimNow: async () => (await records.read(id))?.value.claim ?? null,
  };
}
