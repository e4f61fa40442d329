/** The right to run one command; released when the command has ended. */
interface Slot {
  release(): void;
}

/** Gives out a bounded number of slots in the order of the calls. */
export interface CommandPool {
  /** Rejects with the signal's reason when the signal fires first, and with PoolFull when too many wait already. */
  acquire(signal: AbortSignal | undefined): Promise<Slot>;
}

/** More commands wait than the driver can run in time: GPFS or the kernel hangs. */
class PoolFull extends Error {
  override readonly name = 'PoolFull';
}

/** A pool of `atOnce` slots with a queue of at most `queue`. */
export function commandPool(limits: {
  readonly atOnce: number;
  readonly queue: number;
}): CommandPool {
  // A Set keeps the order of insertion, and a waiter that gave up can be removed from the middle.
  const waiting = new Set<() => void>();
  let free = limits.atOnce;

  const release = (): void => {
    const [next] = waiting;
    if (next === undefined) {
      free += 1;
      return;
    }
    waiting.delete(next);
    next();
  };
  return {
    acquire: async (signal) => {
      if (signal?.aborted) throw reasonOf(signal);
      if (free > 0) {
        free -= 1;
        return slot(release);
      }
      if (waiting.size >= limits.queue) {
        throw new PoolFull(`${limits.queue} commands are waiting already`);
      }
      await turn(waiting, signal);
      return slot(release);
    },
  };
}

function slot(release: () => void): Slot {
  let held = true;
  return {
    release: () => {
      if (held) release();
      held = false;
    },
  };
}

function turn(waiting: Set<() => void>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      waiting.delete(start);
      reject(reasonOf(signal));
    };
    const start = (): void => {
      signal?.removeEventListener('abort', giveUp);
      resolve();
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    waiting.add(start);
  });
}

const reasonOf = (signal: AbortSignal | undefined): Error =>
  signal?.reason instanceof Error ? signal.reason : new Error('the request ended');
