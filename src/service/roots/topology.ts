import { DriverError, invalid } from '../../model/fault.ts';
import type { RootId } from '../../model/ids.ts';
import { showSegments, type RootTopology, type TopologyRequirement } from '../../model/topology.ts';
import type { Clock } from '../../run/clock.ts';
import type { RootStore } from '../../store/root.ts';
import type { NodeTopology } from '../api.ts';

/** How many places a message names; the rest is counted. */
const shownPlaces = 3;

/**
 * Throws out-of-reach unless a requested topology has this root. The class and the source alone decide which root
 * a volume gets, so an existing volume is checked like a new one.
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
  // CSI lets a plugin ignore topologies that are only preferred.
  if (requisite.length === 0 || requisite.some((place) => topology.has(place, store.id))) return;
  throw new DriverError(
    'out-of-reach',
    `volume ${JSON.stringify(name)} belongs in root ${store.layout.root} (${topology.keyOf(store.id)}), and none of the nodes asked for has it mounted, which are ${showPlaces(requisite)}; mount file system ${store.facts.fileSystem} there, or use a class with another root`,
  );
}

const showPlaces = (places: TopologyRequirement['requisite']): string => {
  const more = places.length - shownPlaces;
  const some = places.slice(0, shownPlaces).map(showSegments).join(' or ');
  return more > 0 ? `${some} or ${more} more` : some;
};

/** How long a root must be missing before its node stops reporting it: GPFS may only be restarting. */
const goneAfterMs = 5 * 60_000;

/** How long an answer waits for the first check of the roots, which a file system that hangs never ends. */
const firstLookMs = 20_000;

/** The topology that this node reports, and how it follows the state of the roots. */
export interface TrackedTopology extends NodeTopology {
  /** Takes the roots that can be used now; true when the kubelet knows others, and has to ask again. */
  readonly update: (usable: readonly RootId[]) => boolean;
  /** Resolves after the first update, or after a time limit. */
  readonly updated: () => Promise<void>;
}

/**
 * Which roots this node has. The answer changes only in `update`: between two registrations the kubelet gets the
 * same answer however often it asks, because it cannot use another one.
 */
export function nodeTopology(topology: RootTopology, clock: Clock): TrackedTopology {
  const first = Promise.withResolvers<undefined>();
  const stays = lasting(clock);
  let reported: readonly RootId[] = [];
  let seen = false;
  let asked = false;
  const updated = async (): Promise<void> => {
    if (!seen) await Promise.race([first.promise, clock.sleep(firstLookMs)]);
  };
  return {
    updated,
    here: async () => {
      await updated();
      asked = true;
      return topology.of(...reported);
    },
    update: (usable) => {
      const before = reported.join();
      reported = [
        ...new Set([...reported.filter((root) => stays(root, usable)), ...usable]),
      ].sort();
      seen = true;
      first.resolve(undefined);
      const outdated = asked && reported.join() !== before;
      asked &&= !outdated;
      return outdated;
    },
  };
}

/** Whether the node still reports a root that it has reported before. */
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
