import { join } from 'node:path';
import type { Nonce } from '../run/clock.ts';
import { undefinedWhenMissing, type Files } from '../run/files.ts';
import { type BadFiles, fromText, toText, undefinedWhenUnreadable } from './json.ts';
import { ignoring } from './edges.ts';
import { isItemName, type Layout } from './layout.ts';
import { recordFormat } from './schema/data.ts';
import { queueItem, type QueueItem } from './schema/queue.ts';

/**
 * Objects that a server should check, by name: a volume's id, or the key of a clone parent. An item says only
 * that a check is worthwhile: one too many costs a check, and a lost one is found by the next sweep.
 */
export interface Queue {
  /** Announces; resolves too when it is announced already. */
  add(name: string): Promise<void>;
  /** Names announced and not begun, sorted. */
  ready(): Promise<readonly string[]>;
  /** Names put off or begun, with what is known of each. */
  waiting(): Promise<ReadonlyMap<string, QueueItem>>;
  /** How many names are put off or begun. */
  countWaiting(): Promise<number>;
  /** Moves an item from those announced to those put off, and notes why; a later announcement counts again. */
  putOff(
    name: string,
    item: Omit<QueueItem, 'format'>,
    /** An announcement made meanwhile stays. */
    options?: { readonly keepAnnounced: boolean },
  ): Promise<void>;
  /** What is known of an item that was put off before. */
  putOffBefore(name: string): Promise<QueueItem | undefined>;
  /** Nothing is left to do; an announcement made since stays. */
  done(name: string): Promise<void>;
}

/** Items read at once. */
const atOnce = 16;

/** The queue kept in one root. */
export function queueOf(files: Files, layout: Layout, nonce: Nonce, bad: BadFiles): Queue {
  const ready = (name: string) => join(layout.queue('ready'), name);
  const waiting = (name: string) => join(layout.queue('waiting'), name);
  const read = async (name: string): Promise<QueueItem | undefined> => {
    const text = await files.read(waiting(name)).catch(undefinedWhenMissing);
    return text === undefined ? undefined : fromText(queueItem, text, waiting(name));
  };
  const readable = (name: string) => read(name).catch(undefinedWhenUnreadable(bad));
  // A root that an older version set up, opened only for reading, has none.
  const listed = async (state: 'ready' | 'waiting'): Promise<readonly string[]> =>
    ((await files.list(layout.queue(state)).catch(undefinedWhenMissing)) ?? []).filter(isItemName);
  return {
    add: async (name) => {
      await ignoring(nothing(files.createSparse(ready(name), 0n, 0o640)), 'EEXIST');
    },
    ready: () => listed('ready'),
    waiting: async () => {
      const names = await listed('waiting');
      const found = new Map<string, QueueItem>();
      for (let at = 0; at < names.length; at += atOnce) {
        const some = names.slice(at, at + atOnce);
        const items = await Promise.all(some.map(readable));
        for (const [n, name] of some.entries()) {
          const item = items[n];
          if (item) found.set(name, item);
        }
      }
      return found;
    },
    countWaiting: async () => (await listed('waiting')).length,
    putOff: async (name, item, { keepAnnounced } = { keepAnnounced: false }) => {
      const temporary = join(layout.temporary, `queue-${nonce()}`);
      await files.createDurable(temporary, toText({ format: recordFormat, ...item }), 0o640);
      await files.rename(temporary, waiting(name));
      if (!keepAnnounced) await ignoring(files.unlink(ready(name)), 'ENOENT');
    },
    putOffBefore: readable,
    done: (name) => ignoring(files.unlink(waiting(name)), 'ENOENT'),
  };
}

const nothing = async (work: Promise<unknown>): Promise<void> => {
  await work;
};
