import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/**
 * How long a state may take to come true: many times what it takes on a calm machine, because a busy one
 * is no reason to fail. A wait ends with its state, so only a failure costs the time.
 */
export const patienceMs = 300_000;

/** For what takes minutes by itself: leases that run out, a chart that is rolled out, claims by the hundred. */
export const longPatienceMs = 600_000;

/** Asks again and again until the answer is neither undefined nor false; after the limit, says what was awaited. */
export async function until<T>(
  what: string,
  limitMs: number,
  ask: () => Promise<T | undefined | false>,
  everyMs = 250,
): Promise<T> {
  const end = performance.now() + limitMs;
  let last: unknown;
  for (;;) {
    const answer = await Promise.resolve()
      .then(ask)
      .catch((error: unknown) => {
        last = error;
        return undefined;
      });
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) break;
    await sleep(everyMs);
  }
  const why = last instanceof Error ? `: ${last.message}` : '';
  throw new Error(`still not after ${limitMs / 1000} s: ${what}${why}`);
}
