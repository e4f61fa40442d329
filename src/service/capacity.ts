import type { Bytes } from '../model/bytes.ts';
import { roundDown, sector } from '../model/bytes.ts';
import { whyUnsupported } from '../model/capability.ts';
import type { Capability } from '../model/capability.ts';
import { isFault } from '../model/fault.ts';
import { classParameters } from '../model/parameters.ts';
import type { FileAttributes } from '../model/parameters.ts';
import { maximumBytes, minimumBytes } from '../model/sizing.ts';
import type { RootStore } from '../store/root.ts';
import type { Capacity } from './api.ts';
import { freeIn } from './limits.ts';
import type { Limits } from './limits.ts';
import type { Placement } from './placement.ts';
import type { Roots } from './roots.ts';

/** How much a root, or a pool of it, still takes; rounded down, and 0 for what cannot be served. */
export function capacityOf(
  roots: Roots,
  placement: Placement,
  limits: Limits,
  defaults: FileAttributes,
): Capacity {
  return {
    capacity: async ({ capabilities, parameters }) => {
      const { root, attributes, options, encrypted } = classParameters(parameters);
      const minimum = minimumBytes(capabilities.filter(isSupported), options.fsType);
      const nothing = { available: 0n, maximum: maximumBytes, minimum };
      if (!capabilities.every(isSupported)) return { ...nothing, minimum: 0n };
      try {
        const store = await roots.byPath(root);
        if (encrypted && !(await encrypts(store, placement))) return nothing;
        const placed = { ...defaults, ...attributes };
        const free = await availableIn(store, placement, limits, placed);
        const left = (await limits.left(store)) ?? maximumBytes;
        const thick = options.provisioning === 'thick';
        return {
          minimum,
          available: roundDown(least([free, left]), sector),
          // A thin volume may be larger than what is free; a thick one never is.
          maximum: roundDown(least([maximumBytes, left, ...(thick ? [free] : [])]), sector),
        };
      } catch (error) {
        // The scheduler looks elsewhere; the reason is in readiness and in the log of whoever tries.
        if (isFault(error, 'unavailable')) return nothing;
        throw error;
      }
    },
  };
}

const isSupported = (capability: Capability): boolean => whyUnsupported(capability) === undefined;

/**
 * The least of what the disk, the pool and the fileset's quota have left, divided by the copies that GPFS
 * will make: all three count every copy.
 */
async function availableIn(
  store: RootStore,
  placement: Placement,
  limits: Limits,
  attributes: FileAttributes,
): Promise<Bytes> {
  const { pool, dataReplicas } = attributes;
  if (pool !== undefined) await placement.require(store, { pool });
  const free = [await freeIn(store, placement), ...(await freeInPool(store, placement, pool))];
  const copies = dataReplicas ?? (await placement.fileSystem(store)).dataReplicas.usual;
  return larger(least(free) - (await limits.reserve(store)), 0n) / BigInt(copies);
}

const encrypts = (store: RootStore, placement: Placement): Promise<boolean> =>
  placement.requireEncryption(store).then(
    () => true,
    (error: unknown) => {
      if (isFault(error, 'invalid-request')) return false;
      throw error;
    },
  );

const larger = (a: Bytes, b: Bytes): Bytes => (a > b ? a : b);

const least = (sizes: readonly Bytes[]): Bytes =>
  sizes.reduce((low, size) => (size < low ? size : low));

async function freeInPool(
  store: RootStore,
  placement: Placement,
  pool: string | undefined,
): Promise<readonly Bytes[]> {
  if (pool === undefined) return [];
  const found = (await placement.pools(store)).find(({ name }) => name === pool);
  return found?.space ? [found.space.free] : [];
}
