import type { Bytes } from '../bytes.ts';
import { isDead } from './accounts.ts';
import { walkDown, type Forest, type ForestNode } from './forest.ts';

/** What would happen if callers deleted some volumes and snapshots, whatever the order. */
export interface Deletion {
  /** Files that would be removed: those that were named, and dead parents that nothing would read through any more. */
  readonly goes: readonly ForestNode[];
  /** Own bytes of these files. GPFS may free them a little later, in the background. */
  readonly freed: Bytes;
  /** What was named and would stay, and every file above what was named that would stay, nearest first. */
  readonly stays: readonly Staying[];
}

/** A file that would stay. */
export interface Staying {
  readonly node: ForestNode;
  /**
   * `attached`: the driver refuses to delete a volume that a node uses; `group`: a snapshot of a group goes only with
   * the whole group; `read`: others read through the file, so it would be a tombstone; `dead`: it is a tombstone or
   * hidden parent that others still read through; `kept`: nobody named it.
   */
  readonly why: 'attached' | 'group' | 'read' | 'dead' | 'kept';
  /** Volumes and snapshots that would have to go as well before this file can, nearest first; at most `mostNamed`. */
  readonly until: readonly ForestNode[];
  /** How many there are in all. */
  readonly untilCount: number;
}

/** So many files that keep another one are listed by name. */
export const mostNamed = 5;

/** Says what the deletion of the files with these keys would free and what would stay, from the forest alone. */
export function deletionOf(forest: Forest<ForestNode>, doomed: ReadonlySet<string>): Deletion {
  const refused = refusedOf(forest, doomed);
  const before = goingIn(forest, () => false);
  const deleted = new Set([...doomed].filter((key) => !refused.has(key)));
  const after = goingIn(forest, ({ key }) => deleted.has(key));
  const goes = [...forest.nodes.values()].filter(({ key }) => after.has(key) && !before.has(key));
  const readers = liveBelow(forest, deleted);
  const stays = lineOf(forest, doomed)
    .filter(({ key }) => !after.has(key))
    .map((node): Staying => {
      const why = refused.get(node.key) ?? whyStays(node, doomed);
      const keepers = why === 'kept' ? [] : nearest(forest, node, deleted);
      const untilCount = why === 'kept' ? 0 : (readers.get(node.key) ?? 0);
      return { node, why, until: keepers, untilCount };
    });
  return { goes, freed: sum(goes), stays };
}

/** For each volume and snapshot, what deleting it alone would free once no node uses it. */
export function freesEach(forest: Forest<ForestNode>): ReadonlyMap<string, Bytes> {
  const going = goingIn(forest, () => false);
  const left = (key: string): number =>
    (forest.children.get(key) ?? []).filter((child) => !going.has(child.key)).length;
  const frees = new Map<string, Bytes>();
  // What comes from above: what the unbroken run of dead parents with one child each holds.
  const run = (parent: ForestNode, above: Bytes): Bytes =>
    isDead(parent) && left(parent.key) === 1 ? above + (parent.held ?? 0n) : 0n;
  for (const { node, carried } of walkDown(forest, 0n, run)) {
    if (isDead(node)) continue;
    frees.set(node.key, left(node.key) > 0 ? 0n : (node.held ?? 0n) + carried);
  }
  return frees;
}

/** Keys of the files that the driver would remove: what is asked for or dead, and read through by none that stays. */
function goingIn(
  forest: Forest<ForestNode>,
  asked: (node: ForestNode) => boolean,
): ReadonlySet<string> {
  const going = new Set<string>();
  for (const node of upwards(forest)) {
    const below = forest.children.get(node.key) ?? [];
    if ((isDead(node) || asked(node)) && below.every(({ key }) => going.has(key)))
      going.add(node.key);
  }
  return going;
}

/** Every file, each before its parent. */
const upwards = (forest: Forest<ForestNode>): readonly ForestNode[] =>
  [...walkDown(forest, undefined, () => undefined)].map(({ node }) => node).reverse();

/** Deletions that the driver would refuse. */
function refusedOf(
  { nodes }: Forest<ForestNode>,
  doomed: ReadonlySet<string>,
): ReadonlyMap<string, 'attached' | 'group'> {
  const refused = new Map<string, 'attached' | 'group'>();
  const halved = new Set(
    [...nodes.values()].flatMap(({ key, group }) =>
      group === undefined || doomed.has(key) ? [] : [group],
    ),
  );
  for (const key of doomed) {
    const node = nodes.get(key);
    if (node && node.attachedTo.length > 0) refused.set(key, 'attached');
    else if (node?.group !== undefined && halved.has(node.group)) refused.set(key, 'group');
  }
  return refused;
}

const whyStays = (node: ForestNode, doomed: ReadonlySet<string>): Staying['why'] =>
  isDead(node) ? 'dead' : doomed.has(node.key) ? 'read' : 'kept';

/** What was named and all above it, each once; from what was named upwards. */
export function lineOf(
  forest: Forest<ForestNode>,
  doomed: ReadonlySet<string>,
): readonly ForestNode[] {
  const tops = new Set(forest.tops.map(({ key }) => key));
  const line = new Map<string, ForestNode>();
  for (const key of doomed)
    // A circle ends at its top.
    for (let at = forest.nodes.get(key); at && !line.has(at.key);) {
      line.set(at.key, at);
      at = tops.has(at.key) ? undefined : forest.nodes.get(at.parent ?? '');
    }
  return [...line.values()];
}

/** How many volumes and snapshots below each file their users would still have. */
function liveBelow(
  forest: Forest<ForestNode>,
  deleted: ReadonlySet<string>,
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { key } of upwards(forest)) {
    let count = 0;
    for (const child of forest.children.get(key) ?? [])
      count += (counts.get(child.key) ?? 0) + Number(isKeeper(child, deleted));
    counts.set(key, count);
  }
  return counts;
}

const isKeeper = (node: ForestNode, deleted: ReadonlySet<string>): boolean =>
  !isDead(node) && !deleted.has(node.key);

/** The first volumes and snapshots below a file that their users would still have, level by level; at most `mostNamed`. */
export function nearest(
  forest: Forest<ForestNode>,
  node: ForestNode,
  deleted: ReadonlySet<string> = new Set(),
): readonly ForestNode[] {
  const found: ForestNode[] = [];
  let level: readonly ForestNode[] = [node];
  while (level.length > 0 && found.length < mostNamed) {
    level = level.flatMap(({ key }) => forest.children.get(key) ?? []);
    found.push(...level.filter((child) => isKeeper(child, deleted)).slice(0, mostNamed));
  }
  return found.slice(0, mostNamed);
}

const sum = (files: readonly ForestNode[]): Bytes =>
  files.reduce((total, { held = 0n }) => total + held, 0n);
