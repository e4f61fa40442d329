import type { Bytes } from '../bytes.ts';
import type { KubernetesName } from '../kubernetes.ts';

/** What a data file is. */
export type FileKind = 'volume' | 'snapshot' | 'hidden parent' | 'tombstone';

/** A data file with its place in the clone forest. */
export interface Planted {
  readonly key: string;
  /** The clone parent it reads through. */
  readonly parent: string | null;
}

/** One data file of the clone forest, as its record and its blocks say. */
export interface ForestNode extends Planted {
  readonly kind: FileKind;
  /** The id that callers have, or had; undefined for a file that no caller could ever name. */
  readonly id: string | undefined;
  /** Its name, or the id of the object that it came from. */
  readonly name: string;
  /** Its size. */
  readonly bytes: Bytes;
  /** Bytes of the blocks it has itself; undefined when the file is not there. */
  readonly held: Bytes | undefined;
  readonly attachedTo: readonly string[];
  readonly createdMs: number;
  /** Its deletion has begun. */
  readonly leaving: boolean;
  /** The claim or snapshot of Kubernetes that it was made for, where its record names one. */
  readonly kubernetes?: KubernetesName | undefined;
  /** A snapshot that is a golden image. */
  readonly golden?: boolean;
  /** The group snapshot that it was taken with, which can only be deleted as a whole. */
  readonly group?: string | undefined;
}

/** Files with their children. Every file is below exactly one top, whatever the records say. */
export interface Forest<N extends Planted> {
  readonly nodes: ReadonlyMap<string, N>;
  /** Files without a parent, those whose parent is unknown, and one of each circle. */
  readonly tops: readonly N[];
  readonly children: ReadonlyMap<string, readonly N[]>;
}

/** Plants files by what each says of its parent; of two with one key the later counts. Siblings keep their order. */
export function growForest<N extends Planted>(files: readonly N[]): Forest<N> {
  const nodes = new Map(files.map((node) => [node.key, node]));
  const cut = circles(nodes);
  const tops: N[] = [];
  const children = new Map<string, N[]>();
  for (const node of nodes.values()) {
    const { key, parent } = node;
    if (parent === null || cut.has(key) || !nodes.has(parent)) tops.push(node);
    else {
      const siblings = children.get(parent) ?? [];
      siblings.push(node);
      children.set(parent, siblings);
    }
  }
  return { nodes, tops, children };
}

/** What is wrong with the parent that a top names; undefined where it names none. */
export function flawOf<N extends Planted>(
  { nodes }: Forest<N>,
  { parent }: N,
): 'circle' | 'unknown parent' | undefined {
  if (parent === null) return undefined;
  return nodes.has(parent) ? 'circle' : 'unknown parent';
}

/** The first file by key of every circle, which only a damaged record can make. */
function circles<N extends Planted>(nodes: ReadonlyMap<string, N>): ReadonlySet<string> {
  const seen = new Map<string, 'now' | 'before'>();
  const found = new Set<string>();
  for (const start of nodes.values()) {
    const path: string[] = [];
    let at: N | undefined = start;
    while (at && !seen.has(at.key)) {
      seen.set(at.key, 'now');
      path.push(at.key);
      at = at.parent === null ? undefined : nodes.get(at.parent);
    }
    if (at && seen.get(at.key) === 'now')
      found.add(path.slice(path.indexOf(at.key)).reduce((a, b) => (a < b ? a : b)));
    for (const key of path) seen.set(key, 'before');
  }
  return found;
}

/** A file on the walk down, with what came to it from above. */
export interface DescentStep<N, C> {
  readonly node: N;
  /** How many parents are above it. */
  readonly depth: number;
  readonly carried: C;
}

/** Every file, each after its parent; `carry` makes of a file and what came to it what its children get. */
export function* walkDown<N extends Planted, C>(
  { tops, children }: Forest<N>,
  first: C,
  carry: (node: N, carried: C) => C,
): Generator<DescentStep<N, C>> {
  // No recursion: a chain of clones may be a thousand deep.
  const left: DescentStep<N, C>[] = tops
    .map((node) => ({ node, depth: 0, carried: first }))
    .reverse();
  for (let step = left.pop(); step; step = left.pop()) {
    yield step;
    const { node, depth } = step;
    const below = children.get(node.key) ?? [];
    const carried = below.length > 0 ? carry(node, step.carried) : step.carried;
    for (let n = below.length - 1; n >= 0; n--) {
      const child = below[n];
      if (child) left.push({ node: child, depth: depth + 1, carried });
    }
  }
}
