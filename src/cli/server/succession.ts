import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../../model/fault.ts';
import type { Log } from '../../observe/log.ts';
import { takeLifeline, type HeldLifeline, type Lifeline } from '../../run/lifeline/lifeline.ts';
import { signalProcess, writersOf, type SeenProcess } from '../../run/lifeline/processes.ts';
import { confiners } from '../../run/confined/confinements.ts';
import type { Run } from '../../run/run.ts';

/** This driver process as the successor of earlier ones of its node. */
export interface Succession {
  /** An open descriptor, for commands to inherit. */
  readonly lifeline: number;
  /** Ends earlier driver processes that are stopped, which a signal may continue at any time. */
  endStopped(): Promise<void>;
  /**
   * Resolves when no earlier driver process of this node and no command of one runs any more; ends those that still
   * do. Throws unavailable, saying which one runs and what to do, when that takes too long: the next call continues.
   */
  alone(): Promise<void>;
}

/** How long an earlier process may take to end, in ms from the start of this one. */
export interface SuccessionLimits {
  /** A command gets SIGTERM after this time: most end by themselves before it. */
  readonly askMs: number;
  /** Whatever has not ended by then gets SIGKILL. */
  readonly killMs: number;
  /** The first call of `alone` fails after this time, and every later call after `againMs`. */
  readonly firstMs: number;
  readonly againMs: number;
}

const usualLimits: SuccessionLimits = {
  askMs: 5_000,
  killMs: 10_000,
  firstMs: 15_000,
  againMs: 2_000,
};

const pollMs = 20;

/**
 * Programs that lose data when they are interrupted: they change a file system that is not mounted. They are waited
 * for, as are those that set limits and become one of them within milliseconds.
 */
const neverEnded: readonly string[] = ['e2fsck', 'resize2fs', 'xfs_repair', ...confiners];

/** What a succession works with. */
export interface SuccessionHost {
  /** Runs mknod. */
  readonly run: Run;
  readonly log: Log;
  /** The directory of this node alone, on a local disk. */
  readonly stateDirectory: string;
  readonly limits?: SuccessionLimits;
}

/** Makes this process the newest driver process of its node. Throws misconfigured where the directory allows none. */
export async function succeed(host: SuccessionHost): Promise<Succession> {
  const { run, log, stateDirectory, limits = usualLimits } = host;
  const directory = join(stateDirectory, 'processes');
  const lifeline = await takeLifeline(run, directory).catch((error: unknown) => {
    throw new DriverError(
      'misconfigured',
      `no fifo can be made in ${directory}, by which the next driver process sees that this one has ended; make that a directory of a local disk which root may write to`,
      error,
    );
  });
  const signal = signaller(log);
  const rounds = roundsOf(lifeline, signal, limits);
  let running: Promise<void> | undefined;
  return {
    lifeline: lifeline.fd,
    endStopped: () => endStopped(lifeline, signal),
    // One at a time: every call waits for the same processes.
    alone: () =>
      (running ??= rounds().finally(() => {
        running = undefined;
      })),
  };
}

type Signalling = ReturnType<typeof signaller>;

function roundsOf(
  lifeline: Lifeline,
  signal: Signalling,
  limits: SuccessionLimits,
): () => Promise<void> {
  const startedMs = performance.now();
  return async () => {
    const untilMs = Math.max(startedMs + limits.firstMs, performance.now() + limits.againMs);
    for (;;) {
      const { older, newer } = await lifeline.others();
      if (newer[0]) throw replaced(newer[0]);
      if (older.length === 0) return;
      const left = await leftOf(older);
      const forMs = performance.now() - startedMs;
      for (const each of left) await signal(each, signalFor(each, forMs, limits));
      if (performance.now() >= untilMs) throw stillThere(left[0], older);
      await sleep(pollMs);
    }
  };
}

async function endStopped(lifeline: Lifeline, signal: Signalling): Promise<void> {
  for (;;) {
    const left = await leftOf((await lifeline.others()).older);
    const stopped = left.filter((each) => each.isDriver && each.state === 'T');
    if (stopped.length === 0) return;
    for (const each of stopped) await signal(each, 'SIGKILL');
    await sleep(pollMs);
  }
}

/** A process that holds the lifeline of an earlier driver process: that process itself, or a command of it. */
interface Left extends SeenProcess {
  readonly isDriver: boolean;
}

async function leftOf(lifelines: readonly HeldLifeline[]): Promise<readonly Left[]> {
  const found: Left[] = [];
  for (const { path, pid, started } of lifelines)
    for (const each of await writersOf(path))
      found.push({ ...each, isDriver: each.pid === pid && each.started === started });
  return found;
}

/** A driver process is asked at once, for it may finish its requests; a command mostly ends by itself. */
function signalFor(
  { isDriver, name, state }: Left,
  forMs: number,
  { askMs, killMs }: SuccessionLimits,
): NodeJS.Signals | undefined {
  if (!isDriver && neverEnded.includes(name)) return undefined;
  if (forMs >= killMs || (isDriver && state === 'T')) return 'SIGKILL';
  return isDriver || forMs >= askMs ? 'SIGTERM' : undefined;
}

/** Sends each process a signal once, and logs that. */
function signaller(log: Log) {
  const sent = new Set<string>();
  return async (to: Left, signal: NodeJS.Signals | undefined): Promise<void> => {
    const { pid, started, name, state, isDriver } = to;
    const key = `${pid} ${started} ${String(signal)}`;
    if (signal === undefined || sent.has(key)) return;
    sent.add(key);
    log.warn({ pid, name, state, isDriver, signal }, 'ending a process of an earlier driver here');
    await signalProcess(to, signal);
  };
}

const unavailable = (what: string): DriverError => new DriverError('unavailable', what);

const replaced = ({ path, pid }: HeldLifeline): DriverError =>
  unavailable(
    `a newer driver process (${pid}) runs on this node with the same state directory (it holds ${path}); this one registers no more, so end it`,
  );

/** What keeps this process from registering, and what to do. */
function stillThere(left: Left | undefined, lifelines: readonly HeldLifeline[]): DriverError {
  if (!left)
    return unavailable(
      `an earlier driver process of this node, or a command of it, still runs where this one does not see it; find it on the node with "fuser ${lifelines[0]?.path ?? ''}" and end it, or reboot the node`,
    );
  const { pid, name, state, isDriver } = left;
  if (state === 'D')
    return unavailable(
      `${name} (process ${pid}) of an earlier driver on this node waits in the kernel and cannot be ended, as when GPFS hangs; make GPFS answer here (mmgetstate, mmdiag --waiters), or reboot the node`,
    );
  if (!isDriver && neverEnded.includes(name))
    return unavailable(
      `${name} (process ${pid}), which an earlier driver on this node started, must not be interrupted; wait until it ends`,
    );
  return unavailable(
    `${name} (process ${pid}) of an earlier driver on this node has not ended yet; it gets SIGKILL, try again`,
  );
}
