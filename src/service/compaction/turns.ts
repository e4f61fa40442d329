import { commandPool, type Pool } from '../../run/limit.ts';

/** Bounds what copies data at once in each file system of this node. */
export function turnsOf(
  perFileSystem: number,
): <T>(fileSystem: string, work: () => Promise<T>) => Promise<T> {
  const pools = new Map<string, Pool>();
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
