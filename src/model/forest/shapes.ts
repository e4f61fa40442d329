import type { Bytes } from '../bytes.ts';
import { walkDown, type FileKind, type Forest, type ForestNode } from './forest.ts';

/** Files taken together. */
export interface Bulk {
  /** Subtrees that were left out, and the files in them. */
  readonly trees: number;
  readonly files: Readonly<Record<FileKind, number>>;
  readonly own: Bytes;
}

/** What subtrees look like, to find those that are alike. */
export interface Shapes {
  /** Equal for files with alike trees under them. */
  of(key: string): number;
  sum(nodes: readonly ForestNode[]): Omit<Bulk, 'trees'>;
}

/** What the trees under files look like, leaves first: kinds, and how many of which hang on which. */
export function shapesOf(
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
