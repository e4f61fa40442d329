import type { Bytes } from '../../model/bytes.ts';
import type { ForestNode } from '../../model/forest/forest.ts';
import { ownerOfKey, publicId, type FileKey } from '../../model/ids.ts';
import { errnoOf } from '../../run/files.ts';
import { heldBytes } from '../claims/data-files.ts';
import type { DataKind } from '../../store/layout.ts';
import type { Records } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { walkRecords, type Walking } from '../walk.ts';
import type { QueueState } from '../../model/forest/words.ts';

/** How a forest is read. */
export interface ForestReading extends Walking {
  /** Called for each operation that has begun on an object and not ended. */
  readonly onClaim?: (claim: Claim) => void;
}

/**
 * The data files of a root, from its records and the block counts of the files: no command is run. `keep` makes of
 * each what the caller wants to keep. This is for display and for sums, not for decisions: servers change records
 * meanwhile, and block counts lag on nodes that did not write.
 */
export async function readForest<T>(
  store: RootStore,
  keep: (file: ForestNode) => T,
  reading: ForestReading,
): Promise<readonly T[]> {
  const read = <R extends Claimed>(records: Records<R>, found: (record: R) => Found | undefined) =>
    readKind({ store, records, found, keep, reading });
  const files = [
    ...(await read(store.volumes, (record) => foundVolume(store, record))),
    ...(await read(store.snapshots, (record) => foundSnapshot(store, record))),
    // Last: while a snapshot becomes a tombstone, both records name its file, and the later one counts.
    ...(await read(store.hidden, (record) => foundHidden(store, record))),
  ];
  // A root that is not mounted has no records either, which must not look like an empty root.
  await store.check();
  return files;
}

/** A data file that a record names. */
interface Found {
  readonly at: { readonly data: DataKind; readonly key: FileKey };
  readonly file: Omit<ForestNode, 'held'>;
}

/** A record that may carry claims. */
interface Claimed {
  readonly claim: Claim | null;
  readonly retype?: Claim | null;
}

interface Kind<R, T> {
  readonly store: RootStore;
  readonly records: Records<R>;
  readonly found: (record: R) => Found | undefined;
  readonly keep: (file: ForestNode) => T;
  readonly reading: ForestReading;
}

async function readKind<R extends Claimed, T>({
  store,
  records,
  found,
  keep,
  reading,
}: Kind<R, T>): Promise<readonly T[]> {
  const files: T[] = [];
  const kept = walkRecords(records, reading, async ({ value: record }) => {
    for (const claim of claimsOf(record)) reading.onClaim?.(claim);
    const one = found(record);
    return one && keep({ ...one.file, held: await heldOrMissing(store, one) });
  });
  for await (const file of kept) files.push(file);
  return files;
}

const claimsOf = ({ claim, retype }: Claimed): readonly Claim[] =>
  [claim, retype].flatMap((each) => each ?? []);

async function heldOrMissing(store: RootStore, { at }: Found): Promise<Bytes | undefined> {
  try {
    return await heldBytes(store, at);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** States in which the file of a record exists. */
const isThere = (state: string): boolean => state === 'ready' || state === 'deleting';

function foundVolume({ id: root }: RootStore, record: VolumeRecord): Found | undefined {
  const { id, image, state, name, bytes, parent, createdMs, attachments } = record;
  if (!image || !isThere(state)) return undefined;
  const { key } = image;
  return {
    at: { data: 'volumes', key },
    file: {
      key,
      kind: 'volume',
      id: publicId(root, id),
      name,
      bytes,
      parent,
      createdMs,
      attachedTo: attachments.map(({ node }) => node),
      leaving: state === 'deleting',
      kubernetes: record.kubernetes,
    },
  };
}

function foundSnapshot({ id: root }: RootStore, record: SnapshotRecord): Found | undefined {
  const { id, file, state, name, bytes, parent, createdMs } = record;
  if (!file || !isThere(state)) return undefined;
  const { key } = file;
  return {
    at: { data: 'snapshots', key },
    file: {
      key,
      kind: 'snapshot',
      id: publicId(root, id),
      name,
      bytes,
      parent,
      createdMs,
      attachedTo: [],
      leaving: state === 'deleting',
      kubernetes: record.kubernetes,
      golden: record.golden !== undefined,
      group: record.group?.id,
    },
  };
}

function foundHidden({ id: root }: RootStore, record: HiddenRecord): Found {
  const { id: key, why, data, state, bytes, parent, createdMs } = record;
  const owner = ownerOfKey(key);
  const { kubernetes } = record;
  const leaving = state === 'removing';
  const common = { bytes, parent, createdMs, attachedTo: [], leaving, kubernetes };
  return {
    at: { data, key },
    file:
      why === 'tombstone'
        ? { ...common, key, kind: 'tombstone', id: publicId(root, owner), name: `of ${owner}` }
        : { ...common, key, kind: 'hidden parent', id: undefined, name: `of ${owner}` },
  };
}

/** The queue of a root: how many items are ready, and how many wait for each reason. */
export async function readQueue(store: RootStore): Promise<QueueState> {
  const ready = (await store.queue.ready()).length;
  const reasons = new Map<string, number>();
  for (const { why } of (await store.queue.waiting()).values())
    reasons.set(why, (reasons.get(why) ?? 0) + 1);
  const waiting = [...reasons].map(([why, count]) => ({ why, count }));
  return { ready, waiting: waiting.sort((a, b) => b.count - a.count) };
}
