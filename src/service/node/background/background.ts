import type { VolumeLocks } from '../state/locks.ts';
import type { Background } from '../host.ts';

/** The background work of one process. */
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
