import { messageOf } from '../../model/fault.ts';
import type { FleetNode, FleetRoot } from '../../model/audit/fleet.ts';
import { localIdOf } from '../../model/ids.ts';
import type { Clock } from '../../run/clock.ts';
import { undefinedWhenMissing } from '../../run/files.ts';
import { goneAfterMs } from '../../store/nodes.ts';
import type { RootStore } from '../../store/root.ts';
import type { NodeFile } from '../../store/schema/root.ts';
import { readQueue } from './forest.ts';

/** What reading the servers of a root needs. */
export interface FleetHost {
  readonly open: (path: string) => Promise<RootStore>;
  readonly clock: Clock;
}

/** The servers of a root by what they left in it, sorted by node: no other node is asked. A root that fails says why. */
export async function readFleet({ open, clock }: FleetHost, path: string): Promise<FleetRoot> {
  try {
    const store = await open(path);
    const nodes = await Promise.all(
      (await store.nodes.all()).map((file) => nodeIn(store, clock, file)),
    );
    const found = nodes.flatMap((node) => node ?? []);
    return {
      root: path,
      id: store.id,
      nodes: found.sort((a, b) => (a.node < b.node ? -1 : 1)),
      queue: await queueIn(store),
      probe: await probeIn(store),
    };
  } catch (error) {
    return { root: path, why: messageOf(error), nodes: [], queue: { ready: 0, waiting: [] } };
  }
}

async function nodeIn(
  store: RootStore,
  clock: Clock,
  { node, version, instance, startedMs, maxVolumes }: NodeFile,
): Promise<FleetNode | undefined> {
  const local = localIdOf(node);
  const stat = await store.files.stat(store.layout.node(local)).catch(undefinedWhenMissing);
  if (!stat) return undefined;
  const health = await store.nodes.health(node);
  return {
    node,
    version,
    instance,
    startedMs,
    seenMs: stat.modifiedMs,
    sign: clock.now() - stat.modifiedMs < goneAfterMs ? 'living' : 'silent',
    attached: (await store.attached.of(local)).length,
    maxVolumes,
    // An earlier process found it, and this one may have mended it.
    problems: health?.instance === instance ? health.problems : undefined,
  };
}

async function queueIn(store: RootStore): Promise<FleetRoot['queue']> {
  const { ready, waiting } = await readQueue(store);
  return { ready, waiting: waiting.slice(0, 100) };
}

async function probeIn(store: RootStore): Promise<FleetRoot['probe']> {
  const kept = await store.abilities.kept();
  if (!kept) return undefined;
  const { node, probedMs, complete, abilities } = kept;
  const answers = Object.entries(abilities).filter(
    (each): each is [string, boolean] => typeof each[1] === 'boolean',
  );
  return { node, probedMs, complete, abilities: Object.fromEntries(answers) };
}
