import type { Log } from '../../observe/log.ts';
import type { RootStore } from '../../store/root.ts';

/** Puts work on the queues of the roots, and tells whoever works them off in this process. */
export interface Backlog {
  /** Never fails: what cannot be written now is kept and written later; what is lost, the next sweep finds. */
  add(store: RootStore, name: string): Promise<void>;
  /** Writes what could not be written before. */
  retry(): Promise<void>;
  /** There may be something on a queue: a root was opened, and the server that died here may have left it. */
  wake(): void;
  /** Calls `listener` after each addition, and at each `wake`. */
  follow(listener: () => void): void;
}

/** The backlog of this process. */
export function backlogOf(log: Log): Backlog {
  const unwritten = new Map<string, RootStore>();
  const listeners: (() => void)[] = [];
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  const add: Backlog['add'] = async (store, name) => {
    try {
      await store.queue.add(name);
      wake();
    } catch (error) {
      unwritten.set(name, store);
      log.debug({ name, error }, 'work could not be put on the queue now');
    }
  };
  return {
    add,
    wake,
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
