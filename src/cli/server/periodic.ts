import { messageOf } from '../../model/fault.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../observe/log.ts';

/** Work that is repeated at an interval. */
export interface Rounds {
  /** Starts a round at once; does nothing while one is running. */
  now(): void;
  /** Starts no further round; resolves when the running one has ended. */
  stop(): Promise<void>;
}

/** How work is repeated. */
export interface RoundOptions {
  /** Milliseconds between two rounds. */
  readonly ms: number;
  readonly log: Log;
  /** Names the work in the log. */
  readonly what: string;
  /** Called after each round with what failed in it, or undefined. */
  readonly note?: ((what: string, error: unknown) => void) | undefined;
  /** Whether the first round starts at once. */
  readonly atOnce?: boolean;
}

/** Repeats `work`, never twice at the same time; a failure is logged, and the next round tries again. */
export function every(
  { ms, log, what, note, atOnce = false }: RoundOptions,
  work: () => Promise<void>,
): Rounds {
  let running: Promise<void> | undefined;
  let stopped = false;
  const said = logChanges(log, what);
  const failed = (error: unknown): void => {
    said(error);
    note?.(what, error);
  };
  const round = (): void => {
    if (running || stopped) return;
    running = work()
      .then(() => {
        failed(undefined);
      }, failed)
      .finally(() => {
        running = undefined;
      });
  };
  const timer = setInterval(round, ms).unref();
  if (atOnce) round();
  return {
    now: round,
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      await running;
    },
  };
}

/** A root that is not mounted fails every round, on some nodes permanently: each new reason is one warning. */
function logChanges(log: Log, what: string): (error: unknown) => void {
  let logged: string | undefined;
  return (error) => {
    const why = error === undefined ? undefined : messageOf(error);
    const level = why === logged ? 'debug' : 'warn';
    if (why !== undefined) log[level]({ what, error }, 'a round of upkeep failed');
    logged = why;
  };
}

/** Waits for the upkeep that is under way, so that no file of a root stays open, but not longer than `graceMs`. */
export async function endsWithin(
  graceMs: number,
  upkeep: readonly Promise<unknown>[],
  log: Log,
): Promise<void> {
  const late = new AbortController();
  const ended = await Promise.race([
    Promise.all(upkeep).then(() => true),
    sleep(graceMs, false, { signal: late.signal }),
  ]);
  late.abort();
  if (!ended) log.warn({}, 'upkeep did not end in time; the next server resumes it');
}
