import type { Bytes } from '../../model/bytes.ts';
import type { LocalId } from '../../model/ids.ts';
import type { Clock } from '../../run/clock.ts';
import type { Held } from '../../store/records.ts';
import { undefinedWhenUnreadable } from '../../store/json.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';

/** How long a count of all volumes is used; what this server makes, grows and removes meanwhile is added to it. */
const keepMs = 60_000;

/** The sizes of all volumes of one root together, as their users see them. */
export interface Promised {
  /** Counts the records of the root where the last count is too old. */
  count(): Promise<void>;
  /** All that is counted and reserved. */
  total(): Bytes;
  /** How much the total would grow if this volume had so many bytes. */
  more(id: string, bytes: Bytes): Bytes;
  /** What a record said just now; 0 for a volume that is not there. */
  note(id: string, bytes: Bytes): void;
  /** Notes what the record says by now; `otherwise` where it cannot be read. */
  learn(id: LocalId, otherwise?: Bytes): Promise<void>;
  /** Counts the volume with so many bytes until the operation on it ends. */
  reserve(id: string, bytes: Bytes): Disposable;
}

/**
 * Counts by volume, so that nothing counts twice: not a second try of a creation, and not one that runs while
 * its record is being counted. It takes a map of all volumes, on servers that have a limit.
 */
export function promisedOf(store: RootStore, clock: Clock): Promised {
  const { volumes } = store;
  const reserved = reservations();
  let counted = tally([]);
  let untilMs = -Infinity;
  let counting: Promise<void> | undefined;
  // A count that was running may have read a record before it changed.
  const learned = new Map<string, Bytes>();
  const note = (id: string, bytes: Bytes): void => {
    counted.set(id, bytes);
    if (counting) learned.set(id, bytes);
  };
  const recount = async () => {
    learned.clear();
    const fresh = tally(await sizesIn(store));
    for (const [id, bytes] of learned) fresh.set(id, bytes);
    counted = fresh;
    untilMs = clock.now() + keepMs;
  };
  return {
    count: async () => {
      if (untilMs > clock.now()) return;
      counting ??= recount().finally(() => (counting = undefined));
      await counting;
    },
    total: () => counted.sum() + reserved.beyond(counted.of),
    more: (id, bytes) => larger(bytes - larger(counted.of(id), reserved.of(id)), 0n),
    note,
    learn: async (id, otherwise) => {
      const held = await volumes.read(id).catch(() => 'unreadable' as const);
      if (held !== 'unreadable') note(id, sizeIn(held));
      else if (otherwise !== undefined) note(id, otherwise);
    },
    reserve: reserved.add,
  };
}

const larger = (a: Bytes, b: Bytes): Bytes => (a > b ? a : b);

/** What running operations hold; two on one volume hold the larger size of theirs. */
function reservations() {
  const held = new Set<{ readonly id: string; readonly bytes: Bytes }>();
  const of = (id: string): Bytes =>
    [...held].reduce((most, each) => (each.id === id ? larger(most, each.bytes) : most), 0n);
  return {
    of,
    beyond: (counted: (id: string) => Bytes): Bytes =>
      [...new Set([...held].map(({ id }) => id))].reduce(
        (sum, id) => sum + larger(of(id) - counted(id), 0n),
        0n,
      ),
    add: (id: string, bytes: Bytes): Disposable => {
      const mine = { id, bytes };
      held.add(mine);
      return { [Symbol.dispose]: () => void held.delete(mine) };
    },
  };
}

/** Sizes by volume, and their sum. */
function tally(entries: Iterable<readonly [string, Bytes]>) {
  const sizes = new Map(entries);
  let sum = [...sizes.values()].reduce((all, bytes) => all + bytes, 0n);
  const of = (id: string): Bytes => sizes.get(id) ?? 0n;
  return {
    of,
    sum: () => sum,
    set: (id: string, bytes: Bytes) => {
      sum += bytes - of(id);
      if (bytes === 0n) sizes.delete(id);
      else sizes.set(id, bytes);
    },
  };
}

/** A volume whose record cannot be read does not count: its size is not known. */
async function sizesIn({ volumes, bad }: RootStore): Promise<readonly [string, Bytes][]> {
  const sizes: [string, Bytes][] = [];
  for (const shard of await volumes.shards())
    for (const [id, version] of await volumes.ids(shard)) {
      const held = await volumes.readListed(id, version).catch(undefinedWhenUnreadable(bad));
      const bytes = sizeIn(held);
      if (bytes > 0n) sizes.push([id, bytes]);
    }
  return sizes;
}

/** A started expansion counts in full: a server that resumes it does not check the limit again. */
function sizeIn(held: Held<VolumeRecord> | undefined): Bytes {
  if (!held || held.value.state === 'deleted') return 0n;
  const { bytes, claim } = held.value;
  return claim?.bytes !== undefined && claim.bytes > bytes ? claim.bytes : bytes;
}
