/** Times of one kind of call, in milliseconds. */
export interface Timing {
  readonly what: string;
  readonly callers: number;
  readonly n: number;
  readonly p50: number;
  readonly p99: number;
  /** Completed calls per second, of all callers together. */
  readonly perSecond: number;
}

/** Runs `work` for each item, with this many at once, and records how long each took. */
export async function timed<Item>(
  what: string,
  callers: number,
  items: readonly Item[],
  work: (item: Item) => Promise<unknown>,
): Promise<Timing> {
  const samples: number[] = [];
  const began = performance.now();
  await eachOf(callers, items, async (item) => {
    const start = performance.now();
    await work(item);
    samples.push(performance.now() - start);
  });
  return timing(what, callers, samples, performance.now() - began);
}

/** Runs `work` for each item, with this many at once. */
export async function eachOf<Item>(
  width: number,
  items: readonly Item[],
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const queue = items.values();
  const caller = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: width }, caller));
}

/** Statistics of samples; `wallMs` is how long taking them took. */
export const timing = (
  what: string,
  callers: number,
  samples: readonly number[],
  wallMs: number,
): Timing => ({
  what,
  callers,
  n: samples.length,
  p50: quantile(samples, 0.5),
  p99: quantile(samples, 0.99),
  perSecond: (samples.length / wallMs) * 1000,
});

/** The smallest sample that at least this share of samples does not exceed. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

/** 0, 1, … */
export const upTo = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);
