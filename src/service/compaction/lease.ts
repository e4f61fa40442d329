import { isFault } from '../../model/fault.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { LeaseRecord } from '../../store/schema/queue.ts';
import type { ServiceHost } from '../host.ts';

const name = 'upkeep';

/** The right of this server to maintain one root. Two servers at once would do some work twice, and no harm. */
export interface Lease {
  /** False when another server took it over. */
  isMine(): Promise<boolean>;
  /** When any server last swept the root; 0: never. */
  readonly sweptMs: number;
  /** Gives the lease back; `sweptMs`: when this server swept the root under it. */
  release(sweptMs?: number): Promise<void>;
}

/** Takes the lease of a root; undefined while a live server has it. The heartbeat of the server keeps its lease. */
export async function takeLease(
  host: Pick<ServiceHost, 'self' | 'clock' | 'log'>,
  store: RootStore,
): Promise<Lease | undefined> {
  const held = await store.leases.read(name);
  if (held && !(await isFree(host, store, held.value))) return undefined;
  const lease: LeaseRecord = {
    ...held?.value,
    format: recordFormat,
    node: host.self.node,
    instance: host.self.instance,
    sinceMs: host.clock.now(),
    released: false,
  };
  try {
    const mine = await store.leases.swap(name, held, lease);
    if (held && isLeft(host, held.value))
      host.log.info(
        { root: store.layout.root, node: held.value.node },
        'took over the upkeep of a root from a server that did not give it back',
      );
    return leaseOf(store, mine);
  } catch (error) {
    if (isFault(error, 'busy')) return undefined;
    throw error;
  }
}

async function isFree(
  host: Pick<ServiceHost, 'self'>,
  store: RootStore,
  lease: LeaseRecord,
): Promise<boolean> {
  // This process takes one lease at a time: a lease in its name is the leftover of a failure.
  if (lease.instance === host.self.instance) return true;
  return (await store.nodes.fateOf(lease)) !== 'alive';
}

/** Whether another server had the lease and never gave it back. */
const isLeft = ({ self }: Pick<ServiceHost, 'self'>, lease: LeaseRecord): boolean =>
  !lease.released && lease.instance !== self.instance;

const leaseOf = (store: RootStore, mine: Held<LeaseRecord>): Lease => ({
  isMine: async () => (await store.leases.read(name))?.version === mine.version,
  sweptMs: mine.value.sweptMs ?? 0,
  release: async (sweptMs) => {
    const given = { ...mine.value, released: true, ...(sweptMs === undefined ? {} : { sweptMs }) };
    await store.leases.swap(name, mine, given).catch((error: unknown) => {
      // Another server took it over meanwhile: nothing is left to give back.
      if (!isFault(error, 'busy')) throw error;
    });
  },
});
