import { DriverError } from '../../model/fault.ts';
import { commandPool, type CommandPool } from '../../run/limit.ts';
import { patience } from './patience.ts';
import type { ServiceHost } from '../host.ts';

/** A pool of one for each object that this process works on or waits for. */
type Lines = Map<string, { readonly pool: CommandPool; users: number }>;

/** Lines of one process: work for one object, one after the other, in the order in which it came. */
export function linesOf(): ServiceHost['inLine'] {
  const lines: Lines = new Map();
  return async (object, work) => {
    const line = lines.get(object) ?? { pool: commandPool(oneAtOnce), users: 0 };
    lines.set(object, line);
    line.users += 1;
    try {
      const turn = await turnIn(line.pool, object, line.users);
      try {
        return await work();
      } finally {
        turn.release();
      }
    } finally {
      line.users -= 1;
      if (line.users === 0) lines.delete(object);
    }
  };
}

const oneAtOnce = { atOnce: 1, queue: Number.MAX_SAFE_INTEGER };

/** A user that is alone in its line waits for nothing, so nothing has to allow that. */
async function turnIn(pool: CommandPool, object: string, users: number) {
  if (users === 1) return pool.acquire(undefined);
  return pool.acquire(patience()).catch((error: unknown) => {
    throw new DriverError(
      'busy',
      `other requests for ${object} come first, and have not ended yet; ask again`,
      error,
    );
  });
}
