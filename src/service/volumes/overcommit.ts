import { showBytes, type Bytes } from '../../model/bytes.ts';
import { DriverError } from '../../model/fault.ts';
import type { Clock } from '../../run/clock.ts';
import type { RootStore } from '../../store/root.ts';
import type { Placement } from '../roots/placement.ts';
import { promisedOf, type Promised } from './overcommit-count.ts';
import type { Limits, Wanted } from '../host.ts';

/** How much of the capacity volumes may have. */
export interface LimitOptions {
  /** Percent of the capacity of a root that all volumes together may have; 0: no limit. */
  readonly overcommitPercent: number;
  /** Percent of the capacity below which no new volume is made. */
  readonly reservePercent: number;
}

export const noLimits: LimitOptions = { overcommitPercent: 0, reservePercent: 0 };

/** Limits over the records of each root. */
export function limitsOf(
  { overcommitPercent, reservePercent }: LimitOptions,
  placement: Placement,
  clock: Clock,
): Limits {
  const promisedIn = promisedBy(clock);
  const most = async (store: RootStore) =>
    ((await totalOf(store, placement)) * BigInt(overcommitPercent)) / 100n;
  const reserve = async (store: RootStore) =>
    reservePercent === 0 ? 0n : ((await totalOf(store, placement)) * BigInt(reservePercent)) / 100n;
  return {
    reserve,
    left: async (store) => {
      if (overcommitPercent === 0) return undefined;
      const [allowed, known] = [await most(store), promisedIn(store)];
      await known.count();
      const left = allowed - known.total();
      return left > 0n ? left : 0n;
    },
    admit: async (store, wanted, work) => {
      await requireReserve(store, placement, await reserve(store), reservePercent);
      if (overcommitPercent === 0) return work();
      const [allowed, known] = [await most(store), promisedIn(store)];
      await known.count();
      using _counted = reserveWithin(known, wanted, (total) => {
        if (total > allowed) throw over(store, overcommitPercent, known.total(), allowed);
      });
      try {
        return await work();
      } finally {
        // A failed operation may have taken effect, or half of it: the record decides.
        await known.learn(wanted.id, wanted.bytes);
      }
    },
    removed: async (store, id) => {
      if (overcommitPercent > 0) await promisedIn(store).learn(id);
    },
  };
}

/** One count for each root. */
function promisedBy(clock: Clock): (store: RootStore) => Promised {
  const all = new Map<string, Promised>();
  return (store) => {
    const known = all.get(store.id) ?? promisedOf(store, clock);
    all.set(store.id, known);
    return known;
  };
}

/** Awaits nothing, so that no other request comes between the check and the reservation. */
function reserveWithin(
  known: Promised,
  { id, bytes, had }: Wanted,
  check: (total: Bytes) => void,
): Disposable {
  known.note(id, had);
  check(known.total() + known.more(id, bytes));
  return known.reserve(id, bytes);
}

async function requireReserve(
  store: RootStore,
  placement: Placement,
  reserve: Bytes,
  percent: number,
): Promise<void> {
  if (reserve === 0n) return;
  const available = await freeIn(store, placement);
  if (available >= reserve) return;
  throw new DriverError(
    'no-space',
    `root ${store.layout.root} has ${showBytes(available)} free, less than the reserve of ${percent} percent; delete something, add space, or lower --reserve`,
  );
}

const over = (store: RootStore, percent: number, bytes: Bytes, most: Bytes): DriverError =>
  new DriverError(
    'limit-reached',
    `volumes of root ${store.layout.root} have ${showBytes(bytes)} together, and the over-commit limit of ${percent} percent allows ${showBytes(most)}; delete some, or raise --overcommit-limit`,
  );

/** What the disk and the fileset's quota have left for new files, the smaller; both count every copy. */
export async function freeIn(store: RootStore, placement: Placement): Promise<Bytes> {
  const { available, inodes, inodesFree } = await store.files.space(store.layout.root);
  // Some file systems count no inodes; one that has none left takes no file, whatever blocks are free.
  if (inodes > 0n && inodesFree === 0n) return 0n;
  const quota = await placement.quota(store);
  if (!quota) return available;
  // Blocks in doubt may be used already: only those certainly left count.
  const left = quota.limit - quota.used - quota.inDoubt;
  if (left <= 0n) return 0n;
  return left < available ? left : available;
}

async function totalOf(store: RootStore, placement: Placement): Promise<Bytes> {
  const quota = await placement.quota(store);
  const { total } = await store.files.space(store.layout.root);
  return quota && quota.limit < total ? quota.limit : total;
}
