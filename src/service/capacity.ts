import type { Bytes } from '../model/bytes.ts';
import { roundDown, sector } from '../model/bytes.ts';
import { whyUnsupported } from '../model/capability.ts';
import type { Capability } from '../model/capability.ts';
import { invalid, isFault } from '../model/fault.ts';
import { classParameters } from '../model/parameters.ts';
import { maximumBytes, minimumBytes } from '../model/sizing.ts';
import type { Gpfs } from '../gpfs/commands.ts';
import type { StoragePool } from '../gpfs/mmlspool.ts';
import type { Clock } from '../run/clock.ts';
import type { RootStore } from '../store/root.ts';
import type { Capacity } from './api.ts';
import type { Roots } from './roots.ts';

/** How long an answer of mmlspool serves: at most one command a minute, whoever asks. */
const keepMs = 60_000;

/** The storage pools of file systems, remembered for a while. */
export interface Pools {
  of(store: RootStore): Promise<readonly StoragePool[]>;
  /** Throws invalid-request naming the pools there are. */
  require(store: RootStore, pool: string): Promise<void>;
}

/** Pools as mmlspool tells them. */
export function poolsOf(gpfs: Pick<Gpfs, 'pools'>, clock: Clock): Pools {
  const kept = new Map<
    string,
    { readonly untilMs: number; readonly pools: Promise<readonly StoragePool[]> }
  >();
  const of = (store: RootStore): Promise<readonly StoragePool[]> => {
    const { fileSystem } = store.facts;
    const known = kept.get(fileSystem);
    if (known && known.untilMs > clock.now()) return known.pools;
    const pools = gpfs.pools(fileSystem);
    kept.set(fileSystem, { untilMs: clock.now() + keepMs, pools });
    pools.catch(() => kept.delete(fileSystem));
    return pools;
  };
  return {
    of,
    require: async (store, pool) => {
      const pools = await of(store);
      if (pools.some(({ name, space }) => name === pool && space?.holdsData !== false)) return;
      throw invalid(
        'parameters',
        `key "pool" names ${JSON.stringify(pool)}, which holds no data in file system ${store.facts.fileSystem}; it has ${pools.map(({ name }) => name).join(', ')}`,
      );
    },
  };
}

/** How much a root, or a pool of it, still takes; rounded down, and 0 for what cannot be served. */
export function capacityOf(roots: Roots, pools: Pools): Capacity {
  return {
    capacity: async ({ capabilities, parameters }) => {
      const { root, attributes, options } = classParameters(parameters);
      const minimum = minimumBytes(capabilities.filter(isSupported), options.fsType);
      const nothing = { available: 0n, maximum: maximumBytes, minimum };
      if (!capabilities.every(isSupported)) return { ...nothing, minimum: 0n };
      try {
        const store = await roots.byPath(root);
        const available = await availableIn(store, pools, attributes.pool);
        return { ...nothing, available: roundDown(available, sector) };
      } catch (error) {
        // The scheduler looks elsewhere; the reason is in readiness and in the log of whoever tries.
        if (isFault(error, 'unavailable')) return nothing;
        throw error;
      }
    },
  };
}

const isSupported = (capability: Capability): boolean => whyUnsupported(capability) === undefined;

async function availableIn(
  store: RootStore,
  pools: Pools,
  pool: string | undefined,
): Promise<Bytes> {
  const { available } = await store.files.space(store.layout.root);
  if (pool === undefined) return available;
  await pools.require(store, pool);
  const free = (await pools.of(store)).find(({ name }) => name === pool)?.space?.free;
  return free === undefined || free > available ? available : free;
}
