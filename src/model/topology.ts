import type { RootId } from './ids.ts';

/** Where something is: keys of CSI, each with its value. All of them hold at once. */
export type Segments = ReadonlyMap<string, string>;

/** From where a new volume must be usable. */
export interface TopologyRequirement {
  /** At least one of these; empty where the caller did not say. */
  readonly requisite: readonly Segments[];
  /** Preferably one of these. */
  readonly preferred: readonly Segments[];
}

/** How schedulers learn where roots are: a key for each root, which the nodes that mount it have. */
export interface RootTopology {
  readonly keyOf: (root: RootId) => string;
  /** Of a volume of one root, or of a node that has several. */
  readonly of: (...roots: readonly RootId[]) => Readonly<Record<string, string>>;
  /** Whether a node at this place can use the root. Keys that are not ours say nothing about it. */
  readonly has: (place: Segments, root: RootId) => boolean;
}

/**
 * The value of every key. It never changes: the kubelet puts keys on its node as labels, removes none,
 * and registers no driver that changes one. It is not `true`, which YAML would not take for a string.
 */
export const mountedWord = 'mounted';

/** Topology of the roots of this driver. */
export function rootTopology(driverName: string): RootTopology {
  const keyOf = (root: RootId): string => `${driverName}/root-${root}`;
  return {
    keyOf,
    of: (...roots) => Object.fromEntries(roots.map((root) => [keyOf(root), mountedWord])),
    has: (place, root) => place.get(keyOf(root)) === mountedWord,
  };
}

const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const domain = new RegExp(`^${label}(?:\\.${label})*$`);

/** Whether keys can begin with this name: CSI and Kubernetes want a domain name there. */
export const canPrefixKeys = (driverName: string): boolean => domain.test(driverName);

/** A place in a message, as people write it. */
export const showSegments = (place: Segments): string =>
  `{${[...place].map(([key, value]) => `${key}: ${value}`).join(', ')}}`;
