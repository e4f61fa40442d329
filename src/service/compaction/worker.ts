import { defaultRule } from '../../model/compaction.ts';
import { DriverError, isFault } from '../../model/fault.ts';
import { errnoOf } from '../../run/files.ts';
import type { Clock } from '../../run/clock.ts';
import type { RootStore } from '../../store/root.ts';
import { inEachRoot } from '../roots/roots.ts';
import type { CompactionOptions, ServiceHost } from '../host.ts';
import type { CheckOutcome, CompactionHost } from './consider.ts';
import { takeLease } from './lease.ts';
import { checkItem } from './queue-item.ts';

type WorkerHost = CompactionHost & Pick<ServiceHost, 'roots' | 'self' | 'turn' | 'happened'>;

/** How compaction works where the configuration says nothing else. */
export const defaultCompaction: CompactionOptions = {
  rule: defaultRule,
  paused: false,
  attached: 'never',
  perFileSystem: 1,
  atOnce: 2,
  maxDepth: 500,
};

/** Items taken from the queue at a time; before each batch the server checks that it still has the lease. */
const batch = 100;

/** How long a started item counts as under way, should its server die. */
export const underWayMs = 10 * 60_000;

/** How often an item that waits for an event is checked without one. */
const waitMs = 60 * 60_000;

/** The first pause after a failure, and the longest. Each pause is twice the one before. */
const pauseMs = { first: 1_000, longest: 60 * 60_000 };

/** How often items that were put off are listed where this process knows of none. */
const listMs = 10 * 60_000;

/** How many items are announced and not started, and how many are put off or started. */
interface Lengths {
  readonly ready: number;
  readonly waiting: number;
  /** How long this server has seen the oldest of those that are announced. */
  readonly oldestMs: number;
}

/** Works off the queues of all roots. */
export interface Worker {
  /** The lengths of the queues when they were last listed, by the path of the root. */
  lengths(): ReadonlyMap<string, Lengths>;
  /**
   * Works on what is due now; after `stopping` only what was started is ended. Resolves to the time when the next
   * item of this process is due, if there is one.
   */
  round(stopping?: AbortSignal): Promise<number | undefined>;
}

/** The worker of this process. */
export function workerOf(host: WorkerHost): Worker {
  const due = new Map<string, number>();
  const lengths = new Map<string, Lengths>();
  const ages = agesOf(host.clock);
  return {
    lengths: () => lengths,
    round: async (stopping) => {
      // Clone parents that nothing needs are removed also while the file system is full.
      await inEachRoot(host, async ({ freeing: store }) => {
        const { root } = store.layout;
        const next = due.get(root) ?? 0;
        const isListed = next <= host.clock.now();
        const before = await lengthsOf(store, ages);
        const isIdle = before.ready === 0 && (!isListed || before.waiting === 0);
        const soonest = isIdle
          ? undefined
          : await workOff(host, store, { waiting: isListed, stopping });
        const later = isListed ? host.clock.now() + listMs : next;
        due.set(root, Math.min(soonest ?? Infinity, later));
        lengths.set(root, isIdle ? before : await lengthsOf(store, ages));
      });
      return earliest([...due.values()]);
    },
  };
}

async function lengthsOf(
  { queue, layout: { root } }: RootStore,
  ages: ReturnType<typeof agesOf>,
): Promise<Lengths> {
  const ready = await queue.ready();
  return { ready: ready.length, waiting: await queue.countWaiting(), oldestMs: ages(root, ready) };
}

/** Remembers since when each name has been in every listing of a root; returns the age of the oldest. */
function agesOf(clock: Clock): (root: string, names: readonly string[]) => number {
  const roots = new Map<string, ReadonlyMap<string, number>>();
  return (root, names) => {
    const now = clock.now();
    const before = roots.get(root);
    const since = new Map(names.map((name) => [name, before?.get(name) ?? now]));
    roots.set(root, since);
    let oldest = now;
    for (const moment of since.values()) oldest = Math.min(oldest, moment);
    return now - oldest;
  };
}

/** Items that were put off and are due now. */
async function putOffAndDue(
  { self, clock }: Pick<ServiceHost, 'self' | 'clock'>,
  { queue }: RootStore,
): Promise<readonly string[]> {
  // An item that another server was working on is due at once: only the holder of the lease works, and that server
  // lost it.
  return [...(await queue.waiting())].flatMap(([name, { untilMs, instance }]) =>
    untilMs <= clock.now() || (instance !== undefined && instance !== self.instance) ? [name] : [],
  );
}

/**
 * Works under the lease on items that were put off and are due, on announced ones, and on those that are announced
 * meanwhile. Resolves to the time when the first item that was put off is due again.
 */
async function workOff(
  host: WorkerHost,
  store: RootStore,
  { waiting, stopping }: { readonly waiting: boolean; readonly stopping: AbortSignal | undefined },
): Promise<number | undefined> {
  const lease = await takeLease(host, store);
  if (!lease) return undefined;
  const mayContinue = async () => !stopping?.aborted && (await lease.isMine());
  const again: number[] = [];
  const stuck = new Set<string>();
  try {
    let left = waiting ? await putOffAndDue(host, store) : [];
    for (;;) {
      if (left.length === 0) left = (await store.queue.ready()).filter((name) => !stuck.has(name));
      if (left.length === 0 || !(await mayContinue())) break;
      const names = left.slice(0, batch);
      again.push(...(await workOnAll(host, store, { names, stuck }, stopping)));
      left = left.slice(batch);
    }
  } finally {
    await lease.release();
  }
  return earliest(again);
}

const earliest = (moments: readonly number[]): number | undefined =>
  moments.length === 0 ? undefined : Math.min(...moments);

/** Items to work on, and those whose file in the queue is none: they are left in this round. */
interface Batch {
  readonly names: readonly string[];
  readonly stuck: Set<string>;
}

/** Works on several at once; resolves to the times when those that were put off are due again. */
async function workOnAll(
  host: WorkerHost,
  store: RootStore,
  { names, stuck }: Batch,
  stopping: AbortSignal | undefined,
): Promise<readonly number[]> {
  const left = [...names];
  const next = () => (stopping?.aborted ? undefined : left.shift());
  const again: number[] = [];
  const some = async (): Promise<void> => {
    for (let name = next(); name !== undefined; name = next()) {
      const until = await workOn(host, store, name).catch((error: unknown) => {
        if (!['EISDIR', 'EPERM', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw error;
        stuck.add(name);
        store.bad.note(notAnItem(name, error));
        return undefined;
      });
      if (until !== undefined) again.push(until);
    }
  };
  await Promise.all(Array.from({ length: host.compaction.atOnce }, some));
  return again;
}

// A directory under the name of an item can be neither replaced nor removed.
const notAnItem = (name: string, error: unknown): Error =>
  new Error(`item ${name} of the queue is left as it is: it is no file`, { cause: error });

/** Works on one item; resolves to the time when it is due again, if it is put off. */
async function workOn(
  host: WorkerHost,
  store: RootStore,
  name: string,
): Promise<number | undefined> {
  const now = host.clock.now();
  const before = await store.queue.putOffBefore(name);
  const tries = before?.tries ?? 0;
  // From here on it can be announced again: what is put on the queue during the check is checked again.
  const why = `node ${host.self.node} is at work on it`;
  const { instance } = host.self;
  await store.queue.putOff(name, { tries, untilMs: now + underWayMs, why, instance });
  // Redirects take turns among themselves: a volume that is being filled does not wait for a redirect of hours.
  const outcome = await host.turn(`redirects in ${store.facts.fileSystem}`, () =>
    checkItem(host, store, name).catch((error: unknown) => {
      if (!isFault(error, 'busy')) host.happened(store, 'compaction failed');
      return outcomeOfFailure(error, before?.why);
    }),
  );
  switch (outcome.kind) {
    case 'done':
      await store.queue.done(name);
      return undefined;
    case 'waits': {
      const item = { tries: 0, untilMs: now + waitMs, why: outcome.why };
      // Only a new reason is logged: the same one is found each hour, perhaps for weeks.
      if (before?.why !== item.why)
        host.log.info({ name, why: item.why }, 'work on a clone tree waits');
      // What it waits for may have happened during the check.
      await store.queue.putOff(name, item, { keepAnnounced: true });
      return undefined;
    }
    case 'failed': {
      const untilMs = host.clock.now() + Math.min(pauseMs.first * 2 ** tries, pauseMs.longest);
      host.log.info({ name, tries, why: outcome.why }, 'work on a clone tree is put off');
      await store.queue.putOff(name, { tries: tries + 1, untilMs, why: outcome.why });
      return untilMs;
    }
  }
}

/** The outcome of an item that failed; a defect of the driver is thrown on. `before`: why the item was put off last. */
function outcomeOfFailure(error: unknown, before: string | undefined): CheckOutcome {
  // Found twice, an administrator has to mend it, and it is checked seldom. Found once, another server may have moved the
  // file between two of our reads.
  if (isFault(error, 'unreadable-record'))
    return { kind: before === error.message ? 'waits' : 'failed', why: error.message };
  if (error instanceof DriverError) return { kind: 'failed', why: error.message };
  if (error instanceof Error && errnoOf(error) !== undefined)
    return { kind: 'failed', why: error.message };
  throw error;
}
