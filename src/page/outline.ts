import type { Forest, ForestNode } from '../model/forest/forest.ts';
import { titleOf } from '../model/forest/names.ts';

/** One visible line of the tree. */
export interface OutlineRow {
  readonly node: ForestNode;
  /** From 1. */
  readonly level: number;
  readonly position: number;
  readonly siblings: number;
  /** Undefined for a file without children. */
  readonly open: boolean | undefined;
}

/** How siblings are ordered; the first comes first. */
export type Compare = (a: ForestNode, b: ForestNode) => number;

/** Files whose names hold the words, with all that is above them; undefined for an empty search. */
export function searched(
  forest: Forest<ForestNode>,
  words: string,
): { readonly found: ReadonlySet<string>; readonly shown: ReadonlySet<string> } | undefined {
  const wanted = words.trim().toLowerCase();
  if (wanted === '') return undefined;
  const found = new Set<string>();
  const shown = new Set<string>();
  for (const node of forest.nodes.values()) {
    const texts = [titleOf(node), node.name, node.id ?? '', node.attachedTo.join(' ')];
    if (!texts.some((text) => text.toLowerCase().includes(wanted))) continue;
    found.add(node.key);
    for (const key of [node.key, ...above(forest, node)]) shown.add(key);
  }
  return { found, shown };
}

/** Keys of the files above one, nearest first; a circle ends where it began. */
export function above(forest: Forest<ForestNode>, node: ForestNode): readonly string[] {
  const keys = new Set<string>();
  for (let at = forest.nodes.get(node.parent ?? ''); at && !keys.has(at.key);) {
    keys.add(at.key);
    at = forest.nodes.get(at.parent ?? '');
  }
  return [...keys];
}

/** The visible lines: tops, and what is below each open file. */
export function outline(
  forest: Forest<ForestNode>,
  open: ReadonlySet<string>,
  shown: ReadonlySet<string> | undefined,
  compare: Compare,
): readonly OutlineRow[] {
  const rows: OutlineRow[] = [];
  const visible = (nodes: readonly ForestNode[]): readonly ForestNode[] =>
    nodes.filter(({ key }) => shown?.has(key) ?? true).sort(compare);
  const lines = (nodes: readonly ForestNode[], level: number) =>
    nodes.map((node, n) => ({ node, level, position: n + 1, siblings: nodes.length })).reverse();
  // No recursion: a chain of clones may be a thousand deep.
  const left = lines(visible(forest.tops), 1);
  for (let line = left.pop(); line; line = left.pop()) {
    const { key } = line.node;
    const below = visible(forest.children.get(key) ?? []);
    // A search opens the way to what it found.
    const isOpen = shown !== undefined || open.has(key);
    rows.push({ ...line, open: below.length > 0 ? isOpen : undefined });
    if (isOpen) for (const each of lines(below, line.level + 1)) left.push(each);
  }
  return rows;
}
