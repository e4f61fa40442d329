import type { Log } from '../../observe/log.ts';
import type { RootStore } from '../../store/root.ts';
import type { Backlog } from '../host.ts';

/** The backlog of this process. */
export function backlogOf(log: Log): Backlog {
  const unwritten = new Map<string, RootStore>();
  const listeners: (() => void)[] = [];
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  const add: Backlog['add'] = async (store, name) => {
    try {
      // A clone parent that could not be removed yet is space that comes back; a volume to compact can wait.
      await (name.includes('.') ? store.freeing : store).queue.add(name);
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
