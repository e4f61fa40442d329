import type { Compacting } from '../host.ts';
import { commandPool, type CommandPool } from '../../run/limit.ts';

export function compactingOf(): Compacting {
  const running = new Map<
    string,
    { readonly stop: AbortController; readonly ended: Promise<void> }
  >();
  return {
    begin: (nonce) => {
      const stop = new AbortController();
      const { promise, resolve } = Promise.withResolvers<undefined>();
      running.set(nonce, { stop, ended: promise });
      const end = (): void => {
        running.delete(nonce);
        resolve(undefined);
      };
      return { signal: stop.signal, end };
    },
    stop: async (nonce) => {
      const found = running.get(nonce);
      if (!found) return false;
      found.stop.abort();
      await found.ended;
      return true;
    },
  };
}

/** Limits how many operations copy data at once in each file system, on this node. */
export function turnsOf(
  perFileSystem: number,
): <T>(fileSystem: string, work: () => Promise<T>) => Promise<T> {
  const pools = new Map<string, CommandPool>();
  return async (fileSystem, work) => {
    const limits = { atOnce: perFileSystem, queue: Number.MAX_SAFE_INTEGER };
    const pool = pools.get(fileSystem) ?? commandPool(limits);
    pools.set(fileSystem, pool);
    const slot = await pool.acquire(undefined);
    try {
      return await work();
    } finally {
      slot.release();
    }
  };
}
