import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/** Asks again and again until the answer is neither undefined nor false; after the limit, says what was awaited. */
export async function until<T>(
  what: string,
  limitMs: number,
  ask: () => Promise<T | undefined | false>,
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
    await sleep(250);
  }
  const why = last instanceof Error ? `: ${last.message}` : '';
  throw new Error(`still not after ${limitMs / 1000} s: ${what}${why}`);
}
