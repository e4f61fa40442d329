import type { Bytes } from '../bytes.ts';
import { growForest, walkDown, type FileKind, type Forest, type Planted } from './forest.ts';

/** What the arithmetic needs of a data file. */
export interface Countable extends Planted {
  readonly kind: FileKind;
  readonly bytes: Bytes;
  readonly held: Bytes | undefined;
}

/** What one file holds, and at most reads of others. */
export interface Account {
  /** How many clone parents it reads through. */
  readonly depth: number;
  /** Bytes of the blocks in its own file. Only sums of these over whole trees are exact: blocks move to parents. */
  readonly own: Bytes;
  /**
   * The most that it reads through its parents: what they hold together, as far as its own blocks leave room.
   * Less where its own blocks, or those of a nearer parent, lie over the same place.
   */
  readonly shared: Bytes;
}

/** A whole root. Bytes of files are counted once each, so live and dead together are what the files take. */
export interface RootAccounts {
  readonly files: Readonly<Record<FileKind, number>>;
  /** Sizes of all volumes. */
  readonly logical: Bytes;
  /** Size of the largest volume. */
  readonly largest: Bytes;
  /** Own bytes of all volumes. */
  readonly exclusive: Bytes;
  /** Shared bytes of all volumes; what two of them share is in it twice. */
  readonly shared: Bytes;
  /** Own bytes of volumes and snapshots. */
  readonly live: Bytes;
  /** Own bytes of tombstones and hidden parents: freed when their last readers go, or are moved off them. */
  readonly dead: Bytes;
  /** The largest number of parents that a file reads through. */
  readonly deepest: number;
  /** Clone parents that hold no blocks themselves: each costs a level, and saves nothing. */
  readonly empty: number;
  /** Files that hang on no other one. */
  readonly trees: number;
}

/** The account of every file, a parent before its children. */
export function* accountsOf<N extends Countable>(
  forest: Forest<N>,
): Generator<{ readonly node: N; readonly account: Account }> {
  const add = ({ held = 0n }: N, above: Bytes) => above + held;
  for (const { node, depth, carried } of walkDown(forest, 0n, add)) {
    const own = node.held ?? 0n;
    const room = node.bytes > own ? node.bytes - own : 0n;
    yield { node, account: { depth, own, shared: carried < room ? carried : room } };
  }
}

/** The account of a root, from all of its files. */
export function sumUp(files: readonly Countable[]): RootAccounts {
  const forest = growForest(files);
  const counts: Record<FileKind, number> = {
    volume: 0,
    snapshot: 0,
    'hidden parent': 0,
    tombstone: 0,
  };
  const sums = { logical: 0n, largest: 0n, exclusive: 0n, shared: 0n, live: 0n, dead: 0n };
  let deepest = 0;
  let empty = 0;
  for (const { node, account } of accountsOf(forest)) {
    counts[node.kind] += 1;
    deepest = Math.max(deepest, account.depth);
    if (node.held === 0n && forest.children.has(node.key)) empty += 1;
    if (isDead(node)) sums.dead += account.own;
    else sums.live += account.own;
    if (node.kind !== 'volume') continue;
    sums.logical += node.bytes;
    if (node.bytes > sums.largest) sums.largest = node.bytes;
    sums.exclusive += account.own;
    sums.shared += account.shared;
  }
  return { files: counts, ...sums, deepest, empty, trees: forest.tops.length };
}

/** Whether a file is there only because others read through it. */
export const isDead = ({ kind }: Pick<Countable, 'kind'>): boolean =>
  kind === 'tombstone' || kind === 'hidden parent';
