import { accountsOf, isDead, type Account } from './accounts.ts';
import type { Bytes } from '../bytes.ts';
import { flawOf, walkDown, type Forest, type ForestNode } from './forest.ts';
import { titleOf } from './names.ts';
import { shapesOf, type Bulk, type Shapes } from './shapes.ts';

/** What of a forest is shown. */
export interface ViewOptions {
  /** Files that are looked for; undefined for all. Those above them are shown as well. */
  readonly wanted?: ((node: ForestNode, depth: number) => boolean) | undefined;
  /** Files to point at. */
  readonly marked?: ReadonlySet<string>;
  /** Whether many children that are alike become one line. */
  readonly collapse: boolean;
}

/** One line of the picture: a file, a chain of dead ones, or many that are left out. */
export type ForestRow = FileRow | ChainRow | MoreRow;

interface Placed {
  /** For each level above, whether more of it follows below this line; the last one is the line's own. */
  readonly follows: readonly boolean[];
  /** Key of the file it hangs on; undefined at the top. */
  readonly above: string | undefined;
  /** The only child of an only child: drawn below it without another indentation, as chains may be hundreds long. */
  readonly down: boolean;
  /** Its parent has no other child. */
  readonly only: boolean;
}

export interface FileRow extends Placed {
  readonly node: ForestNode;
  readonly account: Account;
  readonly marked: boolean;
  readonly flaw: ReturnType<typeof flawOf>;
}

/** Dead files one below the other, each read through by the next one only. */
export interface ChainRow extends Placed {
  readonly chain: readonly ForestNode[];
  /** Of the first one. */
  readonly depth: number;
  /** What they hold together. */
  readonly own: Bytes;
}

export interface MoreRow extends Placed {
  readonly more: Bulk;
}

/** So many that are alike are still shown one by one, and so many of more than that. */
const fewAlike = 8;
const examples = 3;

/** So many dead files in a chain become one line. */
const longChain = 3;

/** The lines of a picture, parents above their children, siblings by name. */
export function* rowsOf(
  forest: Forest<ForestNode>,
  options: ViewOptions,
): Generator<ForestRow, void, undefined> {
  const shown = shownOf(forest, options);
  const accounts = new Map([...accountsOf(forest)].map(({ node, account }) => [node.key, account]));
  const shapes = options.collapse ? shapesOf(forest, shown, options.marked) : undefined;
  const place = (item: Item | undefined, last: ForestNode | undefined): Item[] => {
    const siblings = last === undefined ? forest.tops : (forest.children.get(last.key) ?? []);
    return placed(select(siblings, shown, shapes), item, last?.key).reverse();
  };
  const fileRow = (item: FileItem): FileRow => ({
    ...item,
    account: accounts.get(item.node.key) ?? { depth: 0, own: 0n, shared: 0n },
    flaw: item.above === undefined ? flawOf(forest, item.node) : undefined,
    marked: options.marked?.has(item.node.key) ?? false,
  });
  const rowFor = (item: FileItem): FileRow | ChainRow => {
    const depth = accounts.get(item.node.key)?.depth ?? 0;
    const chain = options.collapse ? chainFrom(forest, item.node, { shown, depth, options }) : [];
    return chain.length > 0 ? chainRow(item, chain, depth) : fileRow(item);
  };
  const left = place(undefined, undefined);
  for (let item = left.pop(); item; item = left.pop()) {
    if ('more' in item) {
      yield item;
      continue;
    }
    const row = rowFor(item);
    yield row;
    const last = 'chain' in row ? row.chain.at(-1) : row.node;
    for (const next of place(item, last)) left.push(next);
  }
}

function chainRow(item: FileItem, chain: readonly ForestNode[], depth: number): ChainRow {
  const { follows, above, down, only } = item;
  const own = chain.reduce((sum, { held = 0n }) => sum + held, 0n);
  return { chain, depth, own, follows, above, down, only };
}

interface Folding {
  readonly shown: ReadonlySet<string> | undefined;
  /** Of the first file. */
  readonly depth: number;
  readonly options: ViewOptions;
}

/** The dead files from this one on of which each is read through by the next one only; none where they are few. */
function chainFrom(
  forest: Forest<ForestNode>,
  first: ForestNode,
  { shown, depth, options: { wanted, marked } }: Folding,
): readonly ForestNode[] {
  const chain: ForestNode[] = [];
  // What is looked for, or is not as it should be, keeps a line of its own.
  const foldable = (node: ForestNode): boolean =>
    isDead(node) &&
    !node.leaving &&
    node.held !== undefined &&
    !marked?.has(node.key) &&
    !(wanted?.(node, depth + chain.length) ?? false);
  for (let at: ForestNode | undefined = first; at && foldable(at);) {
    chain.push(at);
    const below: readonly ForestNode[] = forest.children.get(at.key) ?? [];
    const visible = below.filter(({ key }) => shown?.has(key) ?? true);
    at = visible.length === 1 ? visible[0] : undefined;
  }
  return chain.length >= longChain ? chain : [];
}

/** Keys of what is wanted and of all that is above it; undefined for everything. */
function shownOf(
  forest: Forest<ForestNode>,
  { wanted }: ViewOptions,
): ReadonlySet<string> | undefined {
  if (!wanted) return undefined;
  const shown = new Set<string>();
  for (const { node, depth } of walkDown(forest, undefined, () => undefined)) {
    if (!wanted(node, depth)) continue;
    let at: ForestNode | undefined = node;
    while (at && !shown.has(at.key)) {
      shown.add(at.key);
      at = at.parent === null ? undefined : forest.nodes.get(at.parent);
    }
  }
  return shown;
}

type FileItem = Placed & { readonly node: ForestNode };
type Item = FileItem | MoreRow;

function placed(
  { singles, bulks }: Selection,
  parent: Item | undefined,
  above: string | undefined,
): Item[] {
  const total = singles.length + bulks.length;
  const down = total === 1 && parent?.only === true;
  const only = total === 1 && parent !== undefined;
  const at = (n: number): Placed => {
    const follows = down ? parent.follows : [...(parent?.follows ?? []), n < total - 1];
    return { follows, above, down, only };
  };
  return [
    ...singles.map((node, n) => ({ node, ...at(n) })),
    ...bulks.map((more, n) => ({ more, ...at(singles.length + n) })),
  ];
}

interface Selection {
  readonly singles: readonly ForestNode[];
  readonly bulks: readonly Bulk[];
}

/** Siblings that get a line of their own, and the rest of each kind that is too many. */
function select(
  siblings: readonly ForestNode[],
  shown: ReadonlySet<string> | undefined,
  shapes: Shapes | undefined,
): Selection {
  const visible = siblings
    .filter(({ key }) => shown?.has(key) ?? true)
    .sort((a, b) => compare(titleOf(a), titleOf(b)) || compare(a.key, b.key));
  if (!shapes) return { singles: visible, bulks: [] };
  const groups = Map.groupBy(visible, ({ key }) => shapes.of(key));
  const hidden = [...groups.values()]
    .filter((group) => group.length > fewAlike)
    .map((group) => group.slice(examples));
  const out = new Set(hidden.flat());
  return {
    singles: visible.filter((node) => !out.has(node)),
    bulks: hidden.map((group) => ({ trees: group.length, ...shapes.sum(group) })),
  };
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
