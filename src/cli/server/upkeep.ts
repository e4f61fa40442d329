import { messageOf } from '../../model/fault.ts';
import type { Log } from '../../observe/log.ts';
import type { ControllerSocket } from '../../server/transport/listen.ts';
import type { Driver } from '../../service/driver.ts';
import { beat, fillSpares, sweepMs, sweepRoot } from '../../service/maintenance.ts';
import type { RootId } from '../../model/ids.ts';
import { inEachRoot } from '../../service/roots/roots.ts';
import { readinessIn, type Needs, type Survey } from '../../service/roots/readiness.ts';
import { heartbeatMs } from '../../store/nodes.ts';
import { healthBoard, type HealthBoard } from './health.ts';
import { every, type Rounds } from './periodic.ts';

/** How often root readiness is checked: the most frequent thing an idle driver does. */
const readinessMs = 10_000;

/** How long calls over the sidecars' socket may take to end when a root can no longer be used. */
const drainMs = 5_000;

/** How soon work that a request left is started: the next requests come first. */
const soonMs = 1_000;

/** How often the server checks whether a volume is due to return its free blocks. */
const trimMs = 60_000;

/** What a server does without a request. */
export interface Upkeep {
  /** Starts nothing further; resolves when all that is under way has ended. */
  stop(): Promise<void>;
}

/** Starts the upkeep of the roots and of this node, until it is stopped. */
export function startUpkeep(driver: Driver, tasks: UpkeepTasks): Upkeep {
  const { log } = tasks;
  const board = healthBoard();
  const { note } = board;
  const probe = inBackground(tasks.probe, log);
  const rounds = [
    every({ ms: heartbeatMs, log, note, what: 'heartbeat' }, async () =>
      beat(driver.host, board.problems()),
    ),
    every({ ms: heartbeatMs, log, note, what: 'spare files', atOnce: true }, async () =>
      fillSpares(driver.host),
    ),
    every({ ms: sweepMs, log, note, what: 'sweep' }, async () => {
      await inEachRoot(driver, (store) => sweepRoot(driver.host, store));
      await tasks.probe();
    }),
    every({ ms: trimMs, log, note, what: 'trim' }, async () => {
      const id = await tasks.trim();
      if (id !== undefined) log.info({ id }, 'returned free blocks');
    }),
    every(
      { ms: readinessMs, log, note, what: 'readiness', atOnce: true },
      followReadiness(driver, { ...tasks, note, probe: probe.begin }),
    ),
    ...(tasks.pair
      ? [every({ ms: heartbeatMs, log, note, what: 'probe of two nodes' }, tasks.pair)]
      : []),
  ];
  const all = [...rounds, startWork(driver, log, note), probe];
  return {
    stop: async () => {
      await Promise.all(all.map((each) => each.stop()));
    },
  };
}

/** Work that only the end of the server waits for. */
function inBackground(work: () => Promise<void>, log: Log) {
  let running: Promise<void> | undefined;
  return {
    begin: (): void => {
      // One after the other, so that `stop` waits for all of them.
      running = (running ?? Promise.resolve()).then(work).catch((error: unknown) => {
        log.warn({ error }, 'GPFS could not be probed; the next sweep tries again');
      });
    },
    stop: async (): Promise<void> => {
      await running;
    },
  };
}

/**
 * Works on the queues: soon after this process has added an item, when the next item is due, and at each heartbeat,
 * for items that other servers have added.
 */
function startWork(driver: Driver, log: Log, note: HealthBoard['note']): Pick<Rounds, 'stop'> {
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let dueMs = Infinity;
  const round = every({ ms: heartbeatMs, log, note, what: 'work on clone trees' }, async () => {
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

/** What upkeep calls, besides the driver itself. */
export interface UpkeepTasks {
  /** Called with the roots that can be used, after each check of readiness. */
  readonly found: (usable: readonly RootId[]) => void;
  readonly controller: ControllerSocket | undefined;
  /** Makes this node's records agree with its kernel; resolves to what it did or found, a sentence each. */
  readonly reconcile: () => Promise<readonly string[]>;
  /** Tries what this GPFS allows, unless a server has done so already. */
  readonly probe: () => Promise<void>;
  /** The same together with a second node, which must probe at the same time; undefined: not wanted. */
  readonly pair: (() => Promise<void>) | undefined;
  /** Returns the free blocks of one volume that is due; resolves to its id. */
  readonly trim: () => Promise<string | undefined>;
  readonly log: Log;
}

/** Keeps the sidecars' socket open while every root can be used; else a replica on another node can lead. */
function followReadiness(
  { survey, needs }: Pick<Driver, 'survey' | 'needs'>,
  {
    controller,
    reconcile,
    probe,
    found,
    note,
    log,
  }: Omit<UpkeepTasks, 'probe'> & Pick<HealthBoard, 'note'> & { readonly probe: () => void },
): () => Promise<void> {
  const logReadiness = logChanges(log);
  const reconciled = new Set<RootId>();
  return async () => {
    const now = await survey();
    const everyRoot = sayReadiness(now, 'every root');
    const readiness = sayReadiness(now, needs);
    logReadiness({ readiness, ...(everyRoot === readiness ? {} : { everyRoot }) });
    note('roots', everyRoot === 'ready' ? undefined : everyRoot);
    found(now.usable);
    await switchTo(controller, everyRoot === 'ready');
    // A root that becomes usable later may have volumes that were not reconciled yet.
    if (readiness !== 'ready' || now.usable.every((root) => reconciled.has(root))) return;
    const mended = await reconcile();
    for (const each of mended) log.warn({ found: each }, 'reconciled');
    note('this node at its start', mended.length === 0 ? undefined : mended.join('; '));
    for (const root of now.usable) reconciled.add(root);
    probe();
  };
}

const switchTo = (controller: ControllerSocket | undefined, open: boolean) =>
  open ? controller?.open() : controller?.close(drainMs);

function logChanges(log: Log): (now: Readonly<Record<string, string>>) => void {
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
