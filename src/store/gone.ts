import type { Clock } from '../run/clock.ts';
import type { RecordKind } from './layout.ts';
import type { Held } from './records.ts';

/** Records that say that their object was deleted: lists read each of them once. */
export interface Gone {
  has(kind: RecordKind, id: string, version: number): boolean;
  /** Remembers a record where it says so. */
  note(kind: RecordKind, held: Held<object>): void;
}

/** Names that are remembered at most; some 2 MiB. Of more, the oldest are read again. */
const most = 20_000;

/**
 * How long after its deletion a record is remembered. A version never changes, and its name comes again only after the
 * record was swept, a day after the deletion.
 */
const rememberedMs = 12 * 3_600_000;

/** What this process knows of the deleted objects of one root. */
export function goneOf({ now }: Pick<Clock, 'now'>): Gone {
  const untilMs = new Map<string, number>();
  return {
    has: (kind, id, version) => (untilMs.get(nameOf(kind, id, version)) ?? 0) > now(),
    note: (kind, { id, version, value }) => {
      const until = (deletedMs(value) ?? -Infinity) + rememberedMs;
      if (until <= now()) return;
      const [oldest] = untilMs.keys();
      if (untilMs.size >= most && oldest !== undefined) untilMs.delete(oldest);
      untilMs.set(nameOf(kind, id, version), until);
    },
  };
}

const nameOf = (kind: RecordKind, id: string, version: number): string =>
  `${kind}/${id}.${version}`;

function deletedMs(value: object): number | undefined {
  const isDeleted = 'state' in value && value.state === 'deleted';
  return isDeleted && 'deletedMs' in value && typeof value.deletedMs === 'number'
    ? value.deletedMs
    : undefined;
}
