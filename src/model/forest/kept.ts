import type { Bytes } from '../bytes.ts';
import { isDead } from './accounts.ts';
import type { Forest, ForestNode } from './forest.ts';

/** What happens to the space of one file when its user deletes it. */
export interface Freeing {
  /** Bytes of its own blocks, and of dead parents that nothing else reads through. */
  readonly freed: Bytes;
  /** Volumes and snapshots that read through the file, so that it stays; nearest first. */
  readonly keptBy: readonly ForestNode[];
}

/** So many readers are named. */
const mostReaders = 5;

/** What the deletion of one file frees now, and what keeps it otherwise. */
export function freeingOf(forest: Forest<ForestNode>, file: ForestNode): Freeing {
  const keptBy = readersOf(forest, file);
  if (keptBy.length > 0) return { freed: 0n, keptBy };
  let freed = file.held ?? 0n;
  for (const parent of parentsOf(forest, file)) {
    if (!isDead(parent) || (forest.children.get(parent.key) ?? []).length > 1) break;
    freed += parent.held ?? 0n;
  }
  return { freed, keptBy };
}

/** The files that a file reads through, nearest first. */
export function parentsOf(forest: Forest<ForestNode>, file: ForestNode): readonly ForestNode[] {
  const tops = new Set(forest.tops.map(({ key }) => key));
  const parents: ForestNode[] = [];
  // What is at the top has no parent, or a damaged one.
  for (let at: ForestNode | undefined = file; at && !tops.has(at.key);) {
    at = at.parent === null ? undefined : forest.nodes.get(at.parent);
    if (at) parents.push(at);
  }
  return parents;
}

/** The nearest volumes and snapshots below a file. */
function readersOf(forest: Forest<ForestNode>, file: ForestNode): readonly ForestNode[] {
  const found: ForestNode[] = [];
  let level: readonly ForestNode[] = forest.children.get(file.key) ?? [];
  while (level.length > 0 && found.length < mostReaders) {
    found.push(...level.filter((each) => !isDead(each)));
    level = level.filter(isDead).flatMap(({ key }) => forest.children.get(key) ?? []);
  }
  return found.slice(0, mostReaders);
}
