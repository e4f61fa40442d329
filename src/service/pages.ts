import { isFault } from '../model/fault.ts';
import { shardOf } from '../model/ids.ts';
import { positionOf, tokenOf } from '../model/page-token.ts';
import type { Page, Paged } from '../model/volume.ts';
import type { Records } from '../store/records.ts';
import type { RootStore } from '../store/root.ts';

/** The most entries of one page: replies stay far below the 4 MiB that callers accept. */
const largestPage = 1000;

/** How many shards or records are read at once; node:fs reads with sixteen threads at most. */
const width = 16;

/** What is listed, and how a record becomes an entry: undefined where it is not listed. */
export interface Listing<T, R> {
  readonly list: 'volumes' | 'snapshots';
  readonly records: (store: RootStore) => Records<T>;
  readonly entry: (store: RootStore, record: T) => R | undefined | Promise<R | undefined>;
  /** Throws where no caller waits for the list any more. */
  readonly stopIfLeft: () => void;
}

interface Listed<R> {
  readonly root: string;
  readonly id: string;
  readonly entry: R;
}

/**
 * One page, in the order of roots, shards and ids. Memory holds one page, however many records there are. Throws
 * bad-token.
 */
export async function listPage<T extends object, R>(
  listing: Listing<T, R>,
  stores: readonly RootStore[],
  page: Page,
): Promise<Paged<R>> {
  const after = positionOf(listing.list, page.token);
  const max = page.max > 0 ? Math.min(page.max, largestPage) : largestPage;
  const found: Listed<R>[] = [];
  for await (const item of walk(listing, stores, after)) {
    // One entry more than fits shows that there is a next page.
    if (found.length === max) return { items: entries(found), next: tokenAfter(listing, found) };
    found.push(item);
  }
  return { items: entries(found), next: '' };
}

const entries = <R>(found: readonly Listed<R>[]): readonly R[] => found.map(({ entry }) => entry);

function tokenAfter<T, R>({ list }: Listing<T, R>, found: readonly Listed<R>[]): string {
  const last = found.at(-1);
  return last ? tokenOf(list, last) : '';
}

async function* walk<T extends object, R>(
  listing: Listing<T, R>,
  stores: readonly RootStore[],
  after: { readonly root: string; readonly id: string } | undefined,
): AsyncGenerator<Listed<R>> {
  const inOrder = [...stores].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const store of inOrder.filter(({ id }) => !after || id >= after.root))
    yield* walkRoot(listing, store, after?.root === store.id ? after.id : undefined);
}

async function* walkRoot<T extends object, R>(
  listing: Listing<T, R>,
  store: RootStore,
  after: string | undefined,
): AsyncGenerator<Listed<R>> {
  const records = listing.records(store);
  const from = after === undefined ? '' : shardOf(after);
  const shards = (await records.shards()).filter((each) => each >= from);
  // Shards hold a few records each: reading one after the other would mostly be waiting.
  for (const some of inGroups(shards)) {
    const found = some.map(async (shard) => {
      const ids = [...(await records.ids(shard))];
      return shard === from && after !== undefined ? ids.filter(([id]) => id > after) : ids;
    });
    for (const group of inGroups((await Promise.all(found)).flat())) {
      listing.stopIfLeft();
      const read = group.map((each) => readListed(listing, store, records, each));
      yield* (await Promise.all(read)).flatMap((item) => item ?? []);
    }
  }
  await store.check();
}

/** The items in groups of `atOnce`. */
export function* inGroups<Item>(
  items: readonly Item[],
  atOnce = width,
): Generator<readonly Item[]> {
  for (let at = 0; at < items.length; at += atOnce) yield items.slice(at, at + atOnce);
}

/**
 * The entry of one record. A record that cannot be read is logged once, and the others are listed without it.
 */
async function readListed<T extends object, R>(
  listing: Listing<T, R>,
  store: RootStore,
  records: Records<T>,
  [id, version]: readonly [id: string, version: number],
): Promise<Listed<R> | undefined> {
  try {
    if (store.gone.has(listing.list, id, version)) return undefined;
    const held = await records.readListed(id, version);
    if (held) store.gone.note(listing.list, held);
    const entry = held && (await listing.entry(store, held.value));
    return entry === undefined ? undefined : { root: store.id, id, entry };
  } catch (error) {
    if (!isFault(error, 'unreadable-record')) throw error;
    store.bad.note(error);
    return undefined;
  }
}
