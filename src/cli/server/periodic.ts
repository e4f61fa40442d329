import { messageOf } from '../../model/fault.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../observe/log.ts';

/** Something done every so often. */
export interface Rounds {
  /** A round out of turn; nothing while one is running. */
  now(): void;
  /** No round begins any more; resolves when the one that is running has ended. */
  stop(): Promise<void>;
}

/** Runs `work` every so often, never twice at once; what fails is logged and tried again. */
export function every(
  ms: number,
  log: Log,
  what: string,
  work: () => Promise<void>,
  atOnce = false,
): Rounds {
  let running: Promise<void> | undefined;
  let stopped = false;
  const failed = tellOnce(log, what);
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

/** A root that is not mounted fails every round, on some nodes for good: one line for each reason says it. */
function tellOnce(log: Log, what: string): (error: unknown) => void {
  let told: string | undefined;
  return (error) => {
    const why = error === undefined ? undefined : messageOf(error);
    const level = why === told ? 'debug' : 'warn';
    if (why !== undefined) log[level]({ what, error }, 'a round of upkeep failed');
    told = why;
  };
}

/** Waits for what is under way, so that no file of a root is open afterwards, but not longer than `graceMs`. */
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
  if (!ended)
    log.warn({}, 'upkeep did not end in time; whoever goes on with it finds how far it went');
}
