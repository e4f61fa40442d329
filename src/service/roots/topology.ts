import { DriverError, invalid } from '../../model/fault.ts';
import type { RootId } from '../../model/ids.ts';
import { showSegments, type RootTopology, type TopologyRequirement } from '../../model/topology.ts';
import type { Clock } from '../../run/clock.ts';
import type { RootStore } from '../../store/root.ts';
import type { NodeTopology } from '../api.ts';

/** So many places are named in a message; the rest is counted. */
const shownPlaces = 3;

/**
 * Throws out-of-reach unless a volume of this root can be used from one of the places asked for. The root of
 * a volume follows from its class and source alone, so this holds for a volume that exists as for a new one.
 */
export function requireWithinReach(
  { topology }: { readonly topology: RootTopology | undefined },
  store: RootStore,
  name: string,
  asked: TopologyRequirement | undefined,
): void {
  if (!topology || !asked) return;
  const { requisite, preferred } = asked;
  if (requisite.length + preferred.length === 0)
    throw invalid('accessibility_requirements', 'must have requisite or preferred topologies');
  // Of preferred ones alone CSI demands nothing.
  if (requisite.length === 0 || requisite.some((place) => topology.has(place, store.id))) return;
  throw new DriverError(
    'out-of-reach',
    `volume ${JSON.stringify(name)} belongs into root ${store.layout.root} (${topology.keyOf(store.id)}), and none of the nodes asked for has it mounted, which are ${showPlaces(requisite)}; mount file system ${store.facts.fileSystem} there, or use a class with another root`,
  );
}

const showPlaces = (places: TopologyRequirement['requisite']): string => {
  const more = places.length - shownPlaces;
  const some = places.slice(0, shownPlaces).map(showSegments).join(' or ');
  return more > 0 ? `${some} or ${more} more` : some;
};

/** How long a root must be gone before its node stops to tell of it: GPFS may merely be restarted. */
const goneAfterMs = 5 * 60_000;

/** How long an answer waits for the first look at the roots; a file system that hangs would have it wait for ever. */
const firstLookMs = 20_000;

/** What this node tells of its roots, and what it finds. */
export interface TrackedTopology extends NodeTopology {
  /** The roots that can be used now; true when the kubelet was told otherwise, and has to ask again. */
  readonly look: (usable: readonly RootId[]) => boolean;
  /** Resolves once it was looked at the roots, or that takes too long. */
  readonly looked: () => Promise<void>;
}

/**
 * Which roots this node has. The answer changes only in `look`, so that between two registrations the kubelet
 * hears the same however often it asks: it could not take in anything else.
 */
export function nodeTopology(topology: RootTopology, clock: Clock): TrackedTopology {
  const first = Promise.withResolvers<undefined>();
  const stays = lasting(clock);
  let told: readonly RootId[] = [];
  let seen = false;
  let asked = false;
  const looked = async (): Promise<void> => {
    if (!seen) await Promise.race([first.promise, clock.sleep(firstLookMs)]);
  };
  return {
    looked,
    here: async () => {
      await looked();
      asked = true;
      return topology.of(...told);
    },
    look: (usable) => {
      const before = told.join();
      told = [...new Set([...told.filter((root) => stays(root, usable)), ...usable])].sort();
      seen = true;
      first.resolve(undefined);
      const outdated = asked && told.join() !== before;
      asked &&= !outdated;
      return outdated;
    },
  };
}

/** Whether a root that was there is to be told of still. */
function lasting(clock: Clock): (root: RootId, usable: readonly RootId[]) => boolean {
  const goneSince = new Map<RootId, number>();
  return (root, usable) => {
    if (usable.includes(root)) {
      goneSince.delete(root);
      return true;
    }
    const since = goneSince.get(root) ?? clock.now();
    const stays = clock.now() - since < goneAfterMs;
    if (stays) goneSince.set(root, since);
    else goneSince.delete(root);
    return stays;
  };
}
