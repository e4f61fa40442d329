import type { Log } from '../../observe/log.ts';
import type { RootStore } from '../../store/root.ts';

/** Puts work on the queues of the roots, and tells whoever works them off in this process. */
export interface Backlog {
  /** Never fails: what cannot be written now is kept and written later; what is lost, the next sweep finds. */
  add(store: RootStore, name: string): Promise<void>;
  /** Writes what could not be written before. */
  retry(): Promise<void>;
  /** Calls `listener` after each addition. */
  follow(listener: () => void): void;
}

/** The backlog of this process. */
export function backlogOf(log: Log): Backlog {
  const unwritten = new Map<string, RootStore>();
  const listeners: (() => void)[] = [];
  const add: Backlog['add'] = async (store, name) => {
    try {
      await store.queue.add(name);
      for (const listener of listeners) listener();
    } catch (error) {
      unwritten.set(name, store);
      log.debug({ name, error }, 'work could not be put on the queue now');
    }
  };
  return {
    add,
    retry: async () => {
      const again = [...unwritten];
      unwritten.clear();
      for (const [name, store] of again) await add(store, name);
    },
    follow: (listener) => {
      listeners.push(listener);
    },
  };
}
