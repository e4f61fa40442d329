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
 * Refuses a second operation on one object in this process. Correctness must not depend on it, since other servers
 * have their own locks.
 */
export interface Locks {
  /** Takes all locks or none; throws busy when one is held. */
  take(keys: readonly LockKey[]): Disposable;
}

const alone = -1;

/** A set of locks, all free. */
export function createLocks(): Locks {
  // Holders by object: how many calls share it, or `alone`.
  const held = new Map<string, number>();
  const nameOf = ({ on, id }: LockKey) => `${on}:${id}`;
  const isFree = (key: LockKey) => {
    const holders = held.get(nameOf(key)) ?? 0;
    return holders === 0 || (key.shared === true && holders !== alone);
  };
  const release = (key: LockKey) => {
    const holders = held.get(nameOf(key)) ?? alone;
    if (holders > 1) held.set(nameOf(key), holders - 1);
    else held.delete(nameOf(key));
  };
  return {
    take: (keys) => {
      const busy = keys.find((key) => !isFree(key));
      if (busy) throw isBusy(busy);
      for (const key of keys)
        held.set(nameOf(key), key.shared === true ? (held.get(nameOf(key)) ?? 0) + 1 : alone);
      return {
        [Symbol.dispose]: () => {
          keys.forEach(release);
        },
      };
    },
  };
}

const isBusy = ({ on, id }: LockKey): DriverError =>
  new DriverError(
    'busy',
    `another operation on ${words[on]} ${JSON.stringify(id)} is under way; ask again when it has ended`,
  );
