import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError, isRaced } from '../../model/fault.ts';

/**
 * How long work may wait for other work on the same object: until this signal fires. The server fires it shortly
 * before the limit of the request, and when the caller has left.
 */
const storage = new AsyncLocalStorage<AbortSignal>();

/** Runs work that may wait until the signal fires. */
export const withPatience = <Result>(until: AbortSignal, work: () => Result): Result =>
  storage.run(until, work);

/** Until when the present work may wait. What no request asked for waits for nothing: its signal has fired. */
export const patience = (): AbortSignal => storage.getStore() ?? none;

const none = AbortSignal.abort();

/** Whether a request began the present work, and no caller waits for it any more. */
const hasLeft = (): boolean => storage.getStore()?.aborted === true;

/** Throws unavailable where a request began the present work, which only reads, and no caller waits for it any more. */
export function stopIfLeft(): void {
  if (hasLeft()) throw noTimeLeft();
}

/**
 * Throws unavailable where the caller of the present work has left, before anything was changed for it. A server that
 * stood still would otherwise do what was asked long ago: by now the caller may have asked others for the opposite.
 */
export function beginOnlyIfAwaited(): void {
  if (hasLeft())
    throw new DriverError(
      'unavailable',
      'the caller left before this was begun, so nothing was changed; ask again if it is still wanted',
    );
}

/** What a caller hears whose time is up while the answer is being read together; it has usually left. */
export const noTimeLeft = (): DriverError =>
  new DriverError('unavailable', 'there was no time left for the answer; ask again');

/** The first pause between two tries, and the longest; the pauses are random, so that no server is always first. */
const pauseMs = { first: 20, longest: 250 };

/** Waits before another try. Resolves to false at once where the present work may wait no longer. */
export async function pause(tries: number): Promise<boolean> {
  const signal = patience();
  const most = Math.min(pauseMs.first * 2 ** Math.min(tries, 10), pauseMs.longest);
  // Node.js keeps a listener for each pause until it ends, and a signal that fired rejects at once.
  await sleep(most * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}

/** Repeats work that lost a race against another writer, as long as the present work may wait. */
export async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1)
    try {
      return await work();
    } catch (error) {
      if (!isRaced(error) || !(await pause(tries))) throw error;
    }
}
