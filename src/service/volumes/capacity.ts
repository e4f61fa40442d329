import { roundDown, sector, type Bytes } from '../../model/bytes.ts';
import { whyUnsupported, type Capability } from '../../model/capability.ts';
import { isFault } from '../../model/fault.ts';
import {
  classParameters,
  type ClassParameters,
  type FileAttributes,
} from '../../model/class/parameters.ts';
import { maximumBytes, minimumBytes } from '../../model/sizing.ts';
import type { RootStore } from '../../store/root.ts';
import type { RootTopology, Segments } from '../../model/topology.ts';
import type { Capacity } from '../api.ts';
import type { ServiceHost, Limits } from '../host.ts';
import { freeIn } from './overcommit.ts';
import type { Placement } from '../roots/placement.ts';

type Parts = Pick<ServiceHost, 'roots' | 'placement' | 'limits' | 'defaults' | 'topology'>;

/** How much room a root, or a pool of it, has left; rounded down, and 0 where the volume cannot be served. */
export function capacityOf(parts: Parts): Capacity {
  return {
    capacity: async ({ capabilities, parameters, place }) => {
      const wanted = classParameters(parameters);
      const minimum = minimumBytes(capabilities.filter(isSupported), wanted.options.fsType);
      const nothing = { available: 0n, maximum: maximumBytes, minimum };
      if (!capabilities.every(isSupported)) return { ...nothing, minimum: 0n };
      try {
        const store = await parts.roots.byPath(wanted.creation.root);
        // A scheduler that sees a maximum believes that there is room.
        if (isElsewhere(parts.topology, store, place)) return { ...nothing, maximum: undefined };
        return { ...nothing, ...(await roomIn(parts, store, wanted)) };
      } catch (error) {
        // The scheduler looks elsewhere. Readiness reports the reason, and so does the log of a server that tries.
        if (isFault(error, 'unavailable')) return nothing;
        throw error;
      }
    },
  };
}

/** Undefined where no volume of this class can be made, however much is free. */
async function roomIn(
  { placement, limits, defaults }: Parts,
  store: RootStore,
  { attributes, options, creation }: ClassParameters,
): Promise<{ readonly available: Bytes; readonly maximum: Bytes } | undefined> {
  if (creation.encryptionAtRest === 'required' && !(await encrypts(store, placement)))
    return undefined;
  const free = await availableIn(store, placement, limits, { ...defaults, ...attributes });
  const left = (await limits.left(store)) ?? maximumBytes;
  const thick = options.provisioning === 'thick';
  return {
    available: roundDown(least([free, left]), sector),
    // A thin volume may be larger than what is free; a thick one never is.
    maximum: roundDown(least([maximumBytes, left, ...(thick ? [free] : [])]), sector),
  };
}

const isElsewhere = (
  topology: RootTopology | undefined,
  { id }: RootStore,
  place: Segments | undefined,
): boolean => topology !== undefined && place !== undefined && !topology.has(place, id);

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
