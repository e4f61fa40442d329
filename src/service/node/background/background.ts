import type { VolumeLocks } from '../state/locks.ts';

/** Work on a volume that nobody asked for and that gives way: trims, freezes. */
export interface Background {
  /**
   * Runs work on a volume, unless a request or other such work is on it: then false. The work looks at
   * `stop` at each point where it can end, and ends soon after it fires.
   */
  run(id: string, work: (stop: AbortSignal) => Promise<void>): Promise<boolean>;
  /** Ends what is running on a volume; resolves when it has ended. For requests that hold the volume's lock. */
  settle(id: string): Promise<void>;
  /** The same for all volumes, when the driver ends. */
  settleAll(): Promise<void>;
}

/** The background of one process. */
export function backgroundOf(lock: VolumeLocks): Background {
  const running = new Map<
    string,
    { readonly stop: AbortController; readonly end: Promise<void> }
  >();
  const isFree = (id: string): boolean => {
    try {
      lock(id)[Symbol.dispose]();
      return !running.has(id);
    } catch {
      return false;
    }
  };
  const settle = async (id: string): Promise<void> => {
    const found = running.get(id);
    found?.stop.abort();
    await found?.end.catch(() => undefined);
  };
  return {
    run: async (id, work) => {
      if (!isFree(id)) return false;
      const stop = new AbortController();
      const end = work(stop.signal).finally(() => running.delete(id));
      running.set(id, { stop, end });
      await end;
      return true;
    },
    settle,
    settleAll: async () => {
      await Promise.all([...running.keys()].map(settle));
    },
  };
}
