import { publicId } from '../model/ids.ts';
import type { KubernetesName } from '../model/kubernetes.ts';
import { underWay } from '../store/history.ts';
import type { Records } from '../store/records.ts';
import type { RootStore } from '../store/root.ts';
import type { HistoryEntry } from '../store/schema/history.ts';
import type { SnapshotRecord } from '../store/schema/parents.ts';
import type { VolumeRecord } from '../store/schema/volume.ts';
import type { FoundObject } from './finder/found.ts';
import { walkRecords, type Walking } from './walk.ts';

/** One operation, and the object that it was on. */
export interface Operation extends HistoryEntry {
  readonly kind: 'volume' | 'snapshot';
  /** The id that callers know. */
  readonly id: string;
  readonly name: string;
  readonly kubernetes?: KubernetesName | undefined;
}

/** Which operations of a root are wanted. */
export interface HistoryQuery extends Pick<Walking, 'onUnreadable'> {
  /** Only what ended later than this moment, or has not ended. */
  readonly sinceMs: number;
  readonly nowMs: number;
  /** The most operations: the latest ones. */
  readonly most: number;
  /** The only objects that count; undefined for all of the root. */
  readonly of?: readonly FoundObject[] | undefined;
}

/** The operations that were found, in the order in which they began. */
export interface FoundHistory {
  readonly operations: readonly Operation[];
  /** How many more there are, which began earlier. */
  readonly leftOut: number;
}

type Kind = Operation['kind'];
type Kept = VolumeRecord | SnapshotRecord;

/**
 * The last operations on the objects of a root, also on those that were deleted within the last day. Memory holds `most`
 * operations, and not all of them.
 */
export async function readHistory(store: RootStore, query: HistoryQuery): Promise<FoundHistory> {
  const newest = newestOf(query.most);
  const take = (kind: Kind, record: Kept): void => {
    for (const each of operationsOf(store, kind, record, query)) newest.push(each);
  };
  if (query.of) {
    for (const { kind, held } of query.of) if (kind !== 'clone parent') take(kind, held.value);
    return newest.sorted();
  }
  const all = <T>(records: Records<T>) => walkRecords(records, query, ({ value }) => value);
  for await (const record of all(store.volumes)) take('volume', record);
  for await (const record of all(store.snapshots)) take('snapshot', record);
  // A root that is not mounted has no records either, which must not look like an empty root.
  await store.check();
  return newest.sorted();
}

function operationsOf(
  { id: root }: Pick<RootStore, 'id'>,
  kind: Kind,
  record: Kept,
  { sinceMs, nowMs }: HistoryQuery,
): readonly Operation[] {
  const { id, name, kubernetes, history = [], handle } = record;
  const object = { kind, id: handle ?? publicId(root, id), name, kubernetes };
  return [...history, ...underWay(record, nowMs)]
    .filter(({ atMs, tookMs }) => atMs + tookMs >= sinceMs)
    .map((entry) => ({ ...object, ...entry }));
}

/** Keeps the latest of what is pushed. */
function newestOf(most: number) {
  let kept: Operation[] = [];
  let leftOut = 0;
  const trim = (): void => {
    kept.sort((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : Number(a.id > b.id)));
    leftOut += Math.max(0, kept.length - most);
    kept = kept.slice(-most);
  };
  return {
    push: (each: Operation): void => {
      if (kept.push(each) >= 2 * most) trim();
    },
    sorted: (): Pick<FoundHistory, 'operations' | 'leftOut'> => {
      trim();
      return { operations: kept, leftOut };
    },
  };
}
