import { isFault } from '../model/fault.ts';
import type { Held, Records } from '../store/records.ts';
import { inGroups } from './pages.ts';

/** How all records of one kind are read. */
export interface Walking {
  /** Shards or records read at once. */
  readonly atOnce?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called for each record that cannot be read; the others are read all the same. */
  readonly onUnreadable: (error: Error) => void;
}

/**
 * What `use` makes of every record of one kind, in the order of shards and ids; what it makes undefined of is left out.
 * Memory holds a few shards, however many records there are. A root that is not mounted looks like an empty one: the
 * caller checks the root afterwards.
 */
export async function* walkRecords<T, R>(
  records: Pick<Records<T>, 'shards' | 'ids' | 'readListed'>,
  { atOnce, signal, onUnreadable }: Walking,
  use: (held: Held<T>) => R | undefined | Promise<R | undefined>,
): AsyncGenerator<R> {
  const one = async ([id, version]: readonly [id: string, version: number]) => {
    try {
      const held = await records.readListed(id, version);
      return held && (await use(held));
    } catch (error) {
      if (!isFault(error, 'unreadable-record')) throw error;
      onUnreadable(error);
      return undefined;
    }
  };
  for (const shards of inGroups(await records.shards(), atOnce)) {
    const listed = await Promise.all(shards.map(async (shard) => [...(await records.ids(shard))]));
    for (const some of inGroups(listed.flat(), atOnce)) {
      signal?.throwIfAborted();
      for (const made of await Promise.all(some.map(one))) if (made !== undefined) yield made;
    }
  }
}
