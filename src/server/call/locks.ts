import { DriverError } from '../../model/fault.ts';

/** One object that a call works on. Names and ids are locked apart: a name is locked before its id exists. */
export interface LockKey {
  readonly on: keyof typeof words;
  readonly id: string;
  /** Several calls may share the lock; otherwise one call has it alone. */
  readonly shared?: boolean;
}

const words = {
  volume: 'volume',
  'volume-name': 'a volume named',
  // Moving blocks may take hours, and the volume stays usable meanwhile.
  'volume-attributes': 'the attributes of volume',
  snapshot: 'snapshot',
  'snapshot-name': 'a snapshot named',
  group: 'group snapshot',
  'group-name': 'a group snapshot named',
  // A node and the controller may work on a volume at the same time; the records keep them apart.
  'node-volume': 'volume',
} as const;

/**
 * Lets the calls of this process work on an object one after the other, in the order in which they came. Correctness
 * must not depend on it, since other servers have their own locks.
 */
export interface Locks {
  /**
   * Takes all locks or none, once no earlier call has or wants one of them. Rejects with busy when `leave` fires
   * first, and at once where too many calls wait.
   */
  take(keys: readonly LockKey[], leave: AbortSignal): Promise<Disposable>;
}

/** A call that waits, and what it takes. */
interface Waiting {
  readonly keys: readonly LockKey[];
  readonly start: () => void;
}

/** How many calls share a lock, or `alone`. */
type Holders = Map<string, number>;

/** The locks that are held, and the calls that wait, in the order in which they came. */
interface Queue {
  readonly held: Holders;
  readonly line: Set<Waiting>;
}

const alone = -1;

/** More calls than this wait for nothing: the sidecars of a cluster send a few hundred at once. */
const mostWaiting = 1000;

/** A set of locks, all free. */
export function createLocks(most = mostWaiting): Locks {
  // A Set keeps the order of insertion, and a caller that leaves can be removed from the middle.
  const queue: Queue = { held: new Map(), line: new Set() };
  const { held, line } = queue;
  return {
    take: async (keys, leave) => {
      const wanted: Holders = new Map(held);
      for (const earlier of line) for (const key of earlier.keys) add(wanted, key);
      const busy = keys.find((key) => !isFree(wanted, key));
      if (!busy) for (const key of keys) add(held, key);
      else if (line.size >= most) throw tooMany(busy, most);
      else await turn(queue, keys, isBusy(busy), leave);
      return {
        [Symbol.dispose]: () => {
          for (const key of keys) drop(held, key);
          startNext(queue);
        },
      };
    },
  };
}

const nameOf = ({ on, id }: LockKey): string => `${on}:${id}`;

function isFree(holders: Holders, key: LockKey): boolean {
  const count = holders.get(nameOf(key)) ?? 0;
  return count === 0 || (key.shared === true && count !== alone);
}

function add(holders: Holders, key: LockKey): void {
  const count = holders.get(nameOf(key)) ?? 0;
  holders.set(nameOf(key), key.shared === true && count !== alone ? count + 1 : alone);
}

function drop(holders: Holders, key: LockKey): void {
  const count = holders.get(nameOf(key)) ?? alone;
  if (count > 1) holders.set(nameOf(key), count - 1);
  else holders.delete(nameOf(key));
}

/** Starts every call whose locks are free, unless an earlier call waits for one of them. */
function startNext({ held, line }: Queue): void {
  const wanted: Holders = new Map(held);
  for (const waiting of line) {
    const { keys, start } = waiting;
    if (keys.every((key) => isFree(wanted, key))) {
      line.delete(waiting);
      for (const key of keys) add(held, key);
      start();
    }
    for (const key of keys) add(wanted, key);
  }
}

function turn(
  queue: Queue,
  keys: readonly LockKey[],
  busy: DriverError,
  leave: AbortSignal,
): Promise<void> {
  if (leave.aborted) throw busy;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      queue.line.delete(waiting);
      // Those behind may have waited for this call alone.
      startNext(queue);
      reject(busy);
    };
    const start = (): void => {
      leave.removeEventListener('abort', giveUp);
      resolve();
    };
    const waiting: Waiting = { keys, start };
    leave.addEventListener('abort', giveUp, { once: true });
    queue.line.add(waiting);
  });
}

const isBusy = ({ on, id }: LockKey): DriverError =>
  new DriverError(
    'busy',
    `another operation on ${words[on]} ${JSON.stringify(id)} is under way; ask again when it has ended`,
  );

const tooMany = ({ on, id }: LockKey, most: number): DriverError =>
  new DriverError(
    'busy',
    `another operation on ${words[on]} ${JSON.stringify(id)} is under way, and ${most} requests wait already; ask again later`,
  );
