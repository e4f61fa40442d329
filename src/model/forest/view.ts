import { accountsOf, type Account } from './accounts.ts';
import type { Bytes } from '../bytes.ts';
import { flawOf, walkDown, type FileKind, type Forest, type ForestNode } from './forest.ts';

/** What of a forest is shown. */
export interface ViewOptions {
  /** Files that are looked for; undefined for all. Those above them are shown as well. */
  readonly wanted?: ((node: ForestNode, depth: number) => boolean) | undefined;
  /** Files to point at. */
  readonly marked?: ReadonlySet<string>;
  /** Whether many children that are alike become one line. */
  readonly collapse: boolean;
}

/** One line of the picture: a file, or many that are left out. */
export type ForestRow = FileRow | MoreRow;

interface Placed {
  /** For each level above, whether more of it follows below this line; the last one is the line's own. */
  readonly follows: readonly boolean[];
  /** Key of the file it hangs on; undefined at the top. */
  readonly above: string | undefined;
}

export interface FileRow extends Placed {
  readonly node: ForestNode;
  readonly account: Account;
  readonly marked: boolean;
  readonly flaw: ReturnType<typeof flawOf>;
}

export interface MoreRow extends Placed {
  readonly more: Bulk;
}

/** Files taken together. */
export interface Bulk {
  /** Subtrees that were left out, and the files in them. */
  readonly trees: number;
  readonly files: Readonly<Record<FileKind, number>>;
  readonly own: Bytes;
}

/** So many that are alike are still shown one by one, and so many of more than that. */
const fewAlike = 8;
const examples = 3;

/** The lines of a picture, parents above their children, siblings by name. */
export function* rowsOf(
  forest: Forest<ForestNode>,
  options: ViewOptions,
): Generator<ForestRow, void, undefined> {
  const shown = shownOf(forest, options);
  const accounts = new Map([...accountsOf(forest)].map(({ node, account }) => [node.key, account]));
  const shapes = options.collapse ? shapesOf(forest, shown, options.marked) : undefined;
  const place = (
    siblings: readonly ForestNode[],
    follows: readonly boolean[],
    above: string | undefined,
  ) => placed(select(siblings, shown, shapes), follows, above).reverse();

  const fileRow = (item: FileItem): FileRow => ({
    ...item,
    account: accounts.get(item.node.key) ?? { depth: 0, own: 0n, shared: 0n },
    flaw: item.above === undefined ? flawOf(forest, item.node) : undefined,
    marked: options.marked?.has(item.node.key) ?? false,
  });

  const left = place(forest.tops, [], undefined);
  for (let item = left.pop(); item; item = left.pop()) {
    yield 'more' in item ? item : fileRow(item);
    if ('more' in item) continue;
    const { key } = item.node;
    for (const next of place(forest.children.get(key) ?? [], item.follows, key)) left.push(next);
  }
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

function placed(
  { singles, bulks }: Selection,
  follows: readonly boolean[],
  above: string | undefined,
): (FileItem | MoreRow)[] {
  const total = singles.length + bulks.length;
  const at = (n: number): Placed => ({ follows: [...follows, n < total - 1], above });
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
    .sort((a, b) => compare(a.name, b.name) || compare(a.key, b.key));
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

interface Shapes {
  /** Equal for files with alike trees under them. */
  of(key: string): number;
  sum(nodes: readonly ForestNode[]): Omit<Bulk, 'trees'>;
}

/** What the trees under files look like, leaves first: kinds, and how many of which hang on which. */
function shapesOf(
  forest: Forest<ForestNode>,
  shown: ReadonlySet<string> | undefined,
  marked: ReadonlySet<string> | undefined,
): Shapes {
  const numbers = new Map<string, number>();
  const shapes = new Map<string, number>();
  const sums = new Map<string, Omit<Bulk, 'trees'>>();
  const below = (key: string) =>
    (forest.children.get(key) ?? []).filter((child) => shown?.has(child.key) ?? true);
  const upwards = [...walkDown(forest, undefined, () => undefined)].reverse();
  for (const { node } of upwards) {
    const children = below(node.key);
    const inner = children.map(({ key }) => shapes.get(key) ?? 0).sort((a, b) => a - b);
    // What is pointed at is like nothing else, and so is all that leads to it.
    const own = marked?.has(node.key) ? node.key : node.kind;
    const text = `${own} ${inner.join()}`;
    const number = numbers.get(text) ?? numbers.size;
    numbers.set(text, number);
    shapes.set(node.key, number);
    sums.set(
      node.key,
      plus(
        alone(node),
        children.map(({ key }) => sums.get(key) ?? nothing),
      ),
    );
  }
  return {
    of: (key) => shapes.get(key) ?? 0,
    sum: (nodes) =>
      plus(
        nothing,
        nodes.map(({ key }) => sums.get(key) ?? nothing),
      ),
  };
}

const none = { volume: 0, snapshot: 0, 'hidden parent': 0, tombstone: 0 };
const nothing: Omit<Bulk, 'trees'> = { files: none, own: 0n };
const alone = ({ kind, held = 0n }: ForestNode): Omit<Bulk, 'trees'> => ({
  files: { ...none, [kind]: 1 },
  own: held,
});

function plus(
  first: Omit<Bulk, 'trees'>,
  others: readonly Omit<Bulk, 'trees'>[],
): Omit<Bulk, 'trees'> {
  const files = { ...first.files };
  let { own } = first;
  for (const other of others) {
    own += other.own;
    for (const kind of ['volume', 'snapshot', 'hidden parent', 'tombstone'] as const)
      files[kind] += other.files[kind];
  }
  return { files, own };
}
