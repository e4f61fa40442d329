import type { Bytes } from '../model/bytes.ts';
import { showBytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import type { Clock } from '../run/clock.ts';
import type { RootStore } from '../store/root.ts';
import type { Placement } from './placement.ts';

/** How much of what there is may be promised to volumes. */
export interface LimitOptions {
  /** Percent of the capacity of a root that all volumes together may have; 0: no limit. */
  readonly overcommitPercent: number;
  /** Percent of the capacity below which no new volume is made. */
  readonly reservePercent: number;
}

export const noLimits: LimitOptions = { overcommitPercent: 0, reservePercent: 0 };

/** How long a count of all volumes stands; what this server makes meanwhile is added. */
const keepMs = 60_000;

/** Guards a root against more than it can keep. */
export interface Limits {
  /** Throws limit-reached or no-space, naming the limit, where `bytes` more would be too many. */
  require(store: RootStore, bytes: Bytes): Promise<void>;
  /** What may still be promised; undefined without a limit. */
  left(store: RootStore): Promise<Bytes | undefined>;
  /** The reserve in bytes. */
  reserve(store: RootStore): Promise<Bytes>;
}

interface Counted {
  readonly untilMs: number;
  bytes: Bytes;
}

/** Limits over the records of each root. */
export function limitsOf(
  { overcommitPercent, reservePercent }: LimitOptions,
  placement: Placement,
  clock: Clock,
): Limits {
  const counts = new Map<string, Counted>();
  const promised = async (store: RootStore): Promise<Counted> => {
    const known = counts.get(store.id);
    if (known && known.untilMs > clock.now()) return known;
    const counted = { bytes: await promisedIn(store), untilMs: clock.now() + keepMs };
    counts.set(store.id, counted);
    return counted;
  };
  const most = async (store: RootStore) =>
    ((await totalOf(store, placement)) * BigInt(overcommitPercent)) / 100n;
  const reserve = async (store: RootStore) =>
    reservePercent === 0 ? 0n : ((await totalOf(store, placement)) * BigInt(reservePercent)) / 100n;
  return {
    reserve,
    left: async (store) => {
      if (overcommitPercent === 0) return undefined;
      const left = (await most(store)) - (await promised(store)).bytes;
      return left > 0n ? left : 0n;
    },
    require: async (store, bytes) => {
      await requireReserve(store, placement, await reserve(store), reservePercent);
      if (overcommitPercent === 0) return;
      const [allowed, counted] = [await most(store), await promised(store)];
      if (counted.bytes + bytes > allowed)
        throw over(store, overcommitPercent, counted.bytes, allowed);
      counted.bytes += bytes;
    },
  };
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
  // What is in doubt may be used already: only what is surely left counts.
  const left = quota.limit - quota.used - quota.inDoubt;
  if (left <= 0n) return 0n;
  return left < available ? left : available;
}

async function totalOf(store: RootStore, placement: Placement): Promise<Bytes> {
  const quota = await placement.quota(store);
  const { total } = await store.files.space(store.layout.root);
  return quota && quota.limit < total ? quota.limit : total;
}

/** The sizes of all volumes together, as their users see them. */
async function promisedIn({ volumes }: RootStore): Promise<Bytes> {
  let sum = 0n;
  for (const shard of await volumes.shards())
    for (const [id, version] of await volumes.ids(shard)) {
      const record = (await volumes.readListed(id, version))?.value;
      if (record && record.state !== 'deleted') sum += record.bytes;
    }
  return sum;
}
