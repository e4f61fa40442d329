import { hostname } from 'node:os';
import { sumUp } from '../model/forest/accounts.ts';
import { deletionOf, freesEach } from '../model/forest/deletion.ts';
import { deletionJson, deletionText } from '../model/forest/deletion-words.ts';
import type { Forest, ForestNode } from '../model/forest/forest.ts';
import { fileJson, forestDot, forestMermaid } from '../model/forest/graphs.ts';
import { forestIcicle } from '../model/forest/icicle.ts';
import { sortRows } from '../model/forest/sorted.ts';
import { forestText } from '../model/forest/text.ts';
import { rowsOf, type FileRow, type ForestRow } from '../model/forest/view.ts';
import { queueWords, rootWords } from '../model/forest/words.ts';
import { findObjects, findOne, unknown } from '../service/finder/find.ts';
import { isGone, keyOf, type FoundObject } from '../service/finder/found.ts';
import type { RootStore } from '../store/root.ts';
import { rootHost, rootHelpLines, readRootFlags } from './command/root-flags.ts';
import type { Subcommand, Terminal } from './command/subcommand.ts';
import { readTreeQuery, treeFlags, type TreeQuery } from './command/tree-flags.ts';
import { openRoots, readRoots, type ReadRoot } from './forest/roots.ts';

const treeGrammar = { command: 'tree', own: treeFlags, words: 1 };

/** `gpfs-csi tree`: draws the clone forest. */
export const tree: Subcommand = {
  summary: 'show the clone trees of a root, with the space that each file uses',
  help: [
    'usage: gpfs-csi tree [ROOT | ID] [flags]',
    '',
    'Shows every volume, snapshot and clone parent below the clone parent that it reads through. ROOT: only this',
    'root. ID: only the tree of this volume or snapshot: NAMESPACE/CLAIM, NAMESPACE/SNAPSHOT, the name of either, a',
    'PersistentVolume, a handle, a golden image or the name of a data file.',
    'docs/clone-trees.md explains the output.',
    '',
    ...rootHelpLines(treeGrammar),
    '',
    'Exit status: 0 shown, 1 the ID is unknown or something could not be read, 2 wrong usage.',
  ].join('\n'),
  run: async (argv, terminal) => {
    const line = readRootFlags(treeGrammar, argv, terminal.env, hostname());
    const query = readTreeQuery(line);
    const stores = await openRoots(rootHost(line.config), line.config.roots);
    const roots = query.ifDeleted
      ? await showDeletion(stores, { names: query.ifDeleted, as: query.as }, terminal)
      : await showTrees(stores, query, terminal);
    for (const problem of roots.flatMap(({ problems }) => problems)) terminal.err(problem);
    return roots.some(({ problems }) => problems.length > 0) ? 1 : 0;
  },
};

/** A root with the files in it that the ID names. */
interface Shown extends ReadRoot {
  readonly meant: ReadonlySet<string>;
}

async function showTrees(
  stores: readonly RootStore[],
  query: TreeQuery,
  terminal: Terminal,
): Promise<readonly ReadRoot[]> {
  const meant = query.id === undefined ? undefined : await meantBy(stores, query.id);
  const read = await readRoots(meant?.keys() ?? stores);
  const roots = read.map((root) => ({
    ...root,
    meant: meant?.get(root.store) ?? new Set<string>(),
  }));
  show(roots, query, terminal);
  return roots;
}

/** Keys of the files that a word names, by root. All that it names are shown. Throws volume-missing where it names none. */
async function meantBy(
  stores: readonly RootStore[],
  id: string,
): Promise<ReadonlyMap<RootStore, ReadonlySet<string>>> {
  const { objects, problems } = await findObjects(stores, id);
  const meant = keysByRoot(objects.filter((each) => !isGone(each)));
  if (meant.size > 0) return meant;
  throw unknown(stores, id, problems);
}

/** Keys of the data files of objects, by root; an object without a file is left out. */
function keysByRoot(objects: readonly FoundObject[]): ReadonlyMap<RootStore, ReadonlySet<string>> {
  const keys = new Map<RootStore, Set<string>>();
  for (const object of objects) {
    const key = keyOf(object);
    if (key !== undefined) keys.set(object.store, (keys.get(object.store) ?? new Set()).add(key));
  }
  return keys;
}

/** The part of a root to show. */
function rowsIn(root: Shown, query: TreeQuery): readonly ForestRow[] {
  const { forest, meant } = root;
  const { wanted, sort, top, id } = query;
  const collapse = query.collapse && sort === undefined;
  const part = id === undefined ? forest : onlyTreesOf(forest, meant);
  const rows = [...rowsOf(part, { collapse, wanted, marked: meant })];
  if (sort === undefined) return rows;
  return sortRows(askedIn(rows, wanted), sort, freesEach(forest), top);
}

/** The rows of files that were asked for, without those that only lead to them. */
const askedIn = (rows: readonly ForestRow[], wanted: TreeQuery['wanted']): readonly FileRow[] =>
  rows
    .flatMap((row) => ('node' in row ? [row] : []))
    .filter(({ node, account }) => wanted?.(node, account.depth) ?? true);

/** The same forest without the trees that hold none of these files. */
function onlyTreesOf(forest: Forest<ForestNode>, keys: ReadonlySet<string>): Forest<ForestNode> {
  const tops = new Set(forest.tops.map(({ key }) => key));
  const kept = new Set<string>();
  for (const key of keys)
    for (let at = forest.nodes.get(key); at; at = forest.nodes.get(at.parent ?? '')) {
      if (tops.has(at.key)) kept.add(at.key);
      if (tops.has(at.key)) break;
    }
  return { ...forest, tops: forest.tops.filter(({ key }) => kept.has(key)) };
}

function show(roots: readonly Shown[], query: TreeQuery, terminal: Terminal): void {
  const rows = () => roots.flatMap((root) => rowsIn(root, query));
  switch (query.as) {
    case 'json':
      terminal.out(json(roots, query));
      return;
    case 'mermaid':
      terminal.out([...forestMermaid(rows())].join('\n'));
      return;
    case 'dot':
      terminal.out([...forestDot(rows())].join('\n'));
      return;
    case 'icicle':
      terminal.out([...forestIcicle(rows())].join('\n'));
      return;
    case 'text':
      terminal.out(roots.map((root) => text(root, query, terminal)).join('\n\n'));
      return;
  }
}

function text(root: Shown, query: TreeQuery, { isTerminal, env }: Terminal): string {
  const rows = rowsIn(root, query);
  const { store, forest } = root;
  const options = {
    nowMs: Date.now(),
    color: isTerminal && !env['NO_COLOR'],
    frees: query.sort === undefined ? undefined : freesEach(forest),
  };
  const summary = rootWords(store.layout.root, store.id, sumUp([...forest.nodes.values()]));
  const lines = rows.length > 0 ? [...forestText(rows, options)] : [nothing(forest, query)];
  return [summary, ...queueWords(root.queue), ...lines].join('\n');
}

const nothing = ({ nodes }: Forest<ForestNode>, { wanted }: TreeQuery): string =>
  wanted && nodes.size > 0 ? 'no file is like that' : 'there are no files';

function json(roots: readonly Shown[], query: TreeQuery): string {
  const shown = roots.map((root) => {
    const { store, forest } = root;
    const frees = freesEach(forest);
    const asked = askedIn(rowsIn(root, { ...query, collapse: false }), query.wanted);
    return {
      path: store.layout.root,
      id: store.id,
      accounts: accountsJson(forest),
      queue: root.queue,
      files: asked.map((row) => fileJson(row, frees)),
    };
  });
  return JSON.stringify({ roots: shown }, null, 1);
}

const accountsJson = ({ nodes }: Forest<ForestNode>) => {
  const { files, deepest, empty, trees, ...sums } = sumUp([...nodes.values()]);
  const bytes = Object.entries(sums).map(([name, sum]) => [`${name}Bytes`, Number(sum)] as const);
  return { files, deepest, empty, trees, ...Object.fromEntries(bytes) };
};

/** What deleting the objects of these names would do, root by root: files share blocks only inside a root. */
async function showDeletion(
  stores: readonly RootStore[],
  { names, as }: { readonly names: readonly string[] } & Pick<TreeQuery, 'as'>,
  terminal: Terminal,
): Promise<readonly ReadRoot[]> {
  const objects: FoundObject[] = [];
  for (const name of names) objects.push(await findOne(stores, name, ['volume', 'snapshot']));
  const named = keysByRoot(objects);
  const roots = await readRoots(named.keys());
  const answers = roots.map((root) => {
    const keys = named.get(root.store) ?? new Set();
    const nodes = [...keys].flatMap((key) => root.forest.nodes.get(key) ?? []);
    return { path: root.store.layout.root, nodes, deletion: deletionOf(root.forest, keys) };
  });
  if (as === 'json') {
    const shown = answers.map(({ path, deletion }) => ({ path, ...deletionJson(deletion) }));
    terminal.out(JSON.stringify({ roots: shown }, null, 1));
  } else
    for (const { path, nodes, deletion } of answers)
      terminal.out([`${path}:`, ...deletionText(nodes, deletion)].join('\n'));
  return roots;
}
