import { messageOf } from '../../model/fault.ts';
import type { Log } from '../../observe/log.ts';
import type { ControllerSocket } from '../../server/transport/listen.ts';
import type { Driver } from '../../service/driver.ts';
import { beat, sweepMs, sweepRoot } from '../../service/maintenance.ts';
import type { RootId } from '../../model/ids.ts';
import { inEachRoot } from '../../service/roots/roots.ts';
import { readinessIn, type Needs, type Survey } from '../../service/roots/readiness.ts';
import { heartbeatMs } from '../../store/nodes.ts';
import { every, type Rounds } from './periodic.ts';

/** How often it is looked whether the roots can be used; an idle driver does nothing more often. */
const readinessMs = 10_000;

/** How long calls over the sidecars' socket may take to end when the roots went away. */
const drainMs = 5_000;

/** How soon work that a request left is begun: the next requests come first. */
const soonMs = 1_000;

/** How often it is looked whether a volume is due to give its free blocks back. */
const trimMs = 60_000;

/** What a server does by itself. */
export interface Upkeep {
  /** Begins nothing any more; resolves when what is under way has ended. */
  stop(): Promise<void>;
}

/** Begins to tend the roots and this node, until it is stopped. */
export function startUpkeep(driver: Driver, followed: UpkeepTasks): Upkeep {
  const { log } = followed;
  const probe = inBackground(followed.probe, log);
  const rounds = [
    every(heartbeatMs, log, 'heartbeat', async () => beat(driver.host)),
    every(sweepMs, log, 'sweep', async () => {
      await inEachRoot(driver, (store) => sweepRoot(driver.host, store));
      await followed.probe();
    }),
    every(trimMs, log, 'trim', async () => {
      const id = await followed.trim();
      if (id !== undefined) log.info({ id }, 'gave free blocks back');
    }),
    every(
      readinessMs,
      log,
      'readiness',
      followReadiness(driver, { ...followed, probe: probe.begin }),
      true,
    ),
    ...(followed.pair ? [every(heartbeatMs, log, 'probe of two nodes', followed.pair)] : []),
  ];
  const all = [...rounds, startWork(driver, log), probe];
  return {
    stop: async () => {
      await Promise.all(all.map((each) => each.stop()));
    },
  };
}

/** Work that nothing waits for, except the end of the server. */
function inBackground(work: () => Promise<void>, log: Log) {
  let running: Promise<void> | undefined;
  return {
    begin: (): void => {
      // One after the other, so that whoever waits for this one waits for those before it too.
      running = (running ?? Promise.resolve()).then(work).catch((error: unknown) => {
        log.warn({ error }, 'GPFS could not be probed; it is tried again at the next sweep');
      });
    },
    stop: async (): Promise<void> => {
      await running;
    },
  };
}

/**
 * Works off the queues: soon after this process put something there, when the next item is due, and at each
 * heartbeat, for what other servers put there.
 */
function startWork(driver: Driver, log: Log): Pick<Rounds, 'stop'> {
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let dueMs = Infinity;
  const round = every(heartbeatMs, log, 'work on clone trees', async () => {
    dueMs = Infinity;
    const next = await driver.worker.round(stopping.signal);
    if (next !== undefined) schedule(next);
  });
  const schedule = (atMs: number): void => {
    const now = driver.host.clock.now();
    const soonest = Math.max(atMs, now + soonMs);
    // What is due after the next heartbeat needs no timer of its own.
    if (soonest >= dueMs || soonest > now + heartbeatMs) return;
    dueMs = soonest;
    clearTimeout(timer);
    timer = setTimeout(() => {
      round.now();
    }, soonest - now).unref();
  };
  driver.host.backlog.follow(() => {
    schedule(0);
  });
  return {
    stop: async () => {
      stopping.abort();
      clearTimeout(timer);
      await round.stop();
    },
  };
}

/** What happens when the roots become usable, and when they stop to be. */
export interface UpkeepTasks {
  /** Called with the roots that can be used, whenever it was looked. */
  readonly found: (usable: readonly RootId[]) => void;
  readonly controller: ControllerSocket | undefined;
  /** Brings this node's own records in line with its kernel; resolves to what it did or found. */
  readonly reconcile: () => Promise<readonly string[]>;
  /** Tries what this GPFS allows, where nobody has yet; nothing waits for it. */
  readonly probe: () => Promise<void>;
  /** The same with a second node, where its answer is wanted; both have to be at it at once. */
  readonly pair: (() => Promise<void>) | undefined;
  /** Trims one volume that is due; resolves to its id. */
  readonly trim: () => Promise<string | undefined>;
  readonly log: Log;
}

/** The sidecars' socket is there while every root can be used; elsewhere another replica leads then. */
function followReadiness(
  { survey, needs }: Pick<Driver, 'survey' | 'needs'>,
  {
    controller,
    reconcile,
    probe,
    found,
    log,
  }: Omit<UpkeepTasks, 'probe'> & { readonly probe: () => void },
): () => Promise<void> {
  const tell = tellChanges(log);
  const reconciled = new Set<RootId>();
  return async () => {
    const now = await survey();
    const everyRoot = sayReadiness(now, 'every root');
    const readiness = sayReadiness(now, needs);
    tell({ readiness, ...(everyRoot === readiness ? {} : { everyRoot }) });
    found(now.usable);
    await switchTo(controller, everyRoot === 'ready');
    // A root that comes later may have volumes that were left as they were.
    if (readiness !== 'ready' || now.usable.every((root) => reconciled.has(root))) return;
    for (const each of await reconcile()) log.warn({ found: each }, 'reconciled');
    for (const root of now.usable) reconciled.add(root);
    probe();
  };
}

const switchTo = (controller: ControllerSocket | undefined, open: boolean) =>
  open ? controller?.open() : controller?.close(drainMs);

function tellChanges(log: Log): (now: Readonly<Record<string, string>>) => void {
  let last = '';
  return (now) => {
    const text = JSON.stringify(now);
    if (text !== last) log.info(now, 'readiness changed');
    last = text;
  };
}

function sayReadiness(now: Survey, needs: Needs): string {
  try {
    return readinessIn(now, needs);
  } catch (error) {
    return messageOf(error);
  }
}
