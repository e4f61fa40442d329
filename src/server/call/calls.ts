/** The calls that run, those included whose caller was answered or has left. */
export interface Calls {
  /** Counts a call until its promise settles; returns the promise. */
  track<T>(work: Promise<T>): Promise<T>;
  count(): number;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
}

/** A count of running calls that a shutdown can wait for. */
export function createCalls(): Calls {
  let running = 0;
  let waiting: (() => void)[] = [];
  const ended = () => {
    running -= 1;
    if (running > 0) return;
    for (const resume of waiting) resume();
    waiting = [];
  };
  return {
    track: (work) => {
      running += 1;
      work.then(ended, ended);
      return work;
    },
    count: () => running,
    idle: () =>
      new Promise((resolve) => {
        if (running === 0) resolve();
        else waiting.push(resolve);
      }),
  };
}
