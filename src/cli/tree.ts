import { hostname } from 'node:os';
import { sumUp } from '../model/forest/accounts.ts';
import { growForest, type Forest, type ForestNode } from '../model/forest/forest.ts';
import { fileJson, forestDot, forestMermaid } from '../model/forest/graphs.ts';
import { forestText } from '../model/forest/text.ts';
import { rowsOf, type ForestRow, type ViewOptions } from '../model/forest/view.ts';
import { queueWords, rootWords, type QueueState } from '../model/forest/words.ts';
import { findObjects, unknown } from '../service/finder/find.ts';
import { isGone, keyOf } from '../service/finder/found.ts';
import { readForest, readQueue } from '../service/forest/forest.ts';
import type { RootStore } from '../store/root.ts';
import { rootHost, rootHelpLines, readRootFlags, type RootHost } from './command/root-flags.ts';
import type { Subcommand, Terminal } from './command/subcommand.ts';
import { readTreeQuery, treeFlags, type TreeQuery } from './command/tree-flags.ts';

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
    const roots = await readRoots(rootHost(line.config), line.config.roots, query.id);
    for (const problem of roots.flatMap(({ problems }) => problems)) terminal.err(problem);
    show(roots, query, terminal);
    return roots.some(({ problems }) => problems.length > 0) ? 1 : 0;
  },
};

/** A root as it was read. */
interface Root {
  readonly store: RootStore;
  readonly forest: Forest<ForestNode>;
  /** Keys of the files that the ID names. */
  readonly meant: ReadonlySet<string>;
  readonly problems: readonly string[];
  /** Work on the clone trees that is left, with the reasons of what waits. */
  readonly queue: QueueState;
}

async function readRoots(
  host: RootHost,
  paths: readonly string[],
  id: string | undefined,
): Promise<readonly Root[]> {
  const stores: RootStore[] = [];
  for (const path of paths) stores.push(await host.open(path));
  const meant = id === undefined ? undefined : await meantBy(stores, id);
  const roots: Root[] = [];
  for (const store of meant?.keys() ?? stores) roots.push(await readRoot(store, meant?.get(store)));
  return roots;
}

/** Keys of the files that a word names, by root. All that it names are shown. Throws volume-missing where it names none. */
async function meantBy(
  stores: readonly RootStore[],
  id: string,
): Promise<ReadonlyMap<RootStore, ReadonlySet<string>>> {
  const { objects, problems } = await findObjects(stores, id);
  const meant = new Map<RootStore, Set<string>>();
  for (const object of objects) {
    const key = keyOf(object);
    if (key !== undefined && !isGone(object))
      meant.set(object.store, (meant.get(object.store) ?? new Set()).add(key));
  }
  if (meant.size > 0) return meant;
  throw unknown(stores, id, problems);
}

async function readRoot(
  store: RootStore,
  meant: ReadonlySet<string> = new Set<string>(),
): Promise<Root> {
  const problems: string[] = [];
  const onUnreadable = ({ message }: Error) => problems.push(`gpfs-csi: ${message}`);
  const files = await readForest(store, (file) => file, { onUnreadable });
  const forest = growForest(files);
  const queue = await readQueue(store);
  return { store, forest, meant, problems, queue };
}

/** The part of a root to show. */
function rowsIn({ forest, meant }: Root, { wanted, collapse, id }: TreeQuery): Iterable<ForestRow> {
  const options: ViewOptions = { collapse, wanted, marked: meant };
  if (id === undefined) return rowsOf(forest, options);
  return rowsOf(onlyTreesOf(forest, meant), options);
}

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

function show(roots: readonly Root[], query: TreeQuery, terminal: Terminal): void {
  switch (query.as) {
    case 'json':
      terminal.out(json(roots, query));
      return;
    case 'mermaid':
      terminal.out(
        [...forestMermaid(roots.flatMap((root) => [...rowsIn(root, query)]))].join('\n'),
      );
      return;
    case 'dot':
      terminal.out([...forestDot(roots.flatMap((root) => [...rowsIn(root, query)]))].join('\n'));
      return;
    case 'text':
      terminal.out(roots.map((root) => text(root, query, terminal)).join('\n\n'));
      return;
  }
}

function text(root: Root, query: TreeQuery, { isTerminal, env }: Terminal): string {
  const rows = [...rowsIn(root, query)];
  const options = { nowMs: Date.now(), color: isTerminal && !env['NO_COLOR'] };
  const { store, forest } = root;
  const summary = rootWords(store.layout.root, store.id, sumUp([...forest.nodes.values()]));
  const lines = rows.length > 0 ? [...forestText(rows, options)] : [nothing(forest, query)];
  return [summary, ...queueWords(root.queue), ...lines].join('\n');
}

const nothing = ({ nodes }: Forest<ForestNode>, { wanted }: TreeQuery): string =>
  wanted && nodes.size > 0 ? 'no file is like that' : 'there are no files';

function json(roots: readonly Root[], query: TreeQuery): string {
  const shown = roots.map((root) => {
    const { store, forest } = root;
    const { wanted } = query;
    const rows = [...rowsIn(root, { ...query, collapse: false })];
    const files = rows.flatMap((row) => ('node' in row ? [row] : []));
    const asked = files.filter(({ node, account }) => wanted?.(node, account.depth) ?? true);
    return {
      path: store.layout.root,
      id: store.id,
      accounts: accountsJson(forest),
      queue: root.queue,
      files: asked.map(fileJson),
    };
  });
  return JSON.stringify({ roots: shown }, null, 1);
}

const accountsJson = ({ nodes }: Forest<ForestNode>) => {
  const { files, deepest, empty, trees, ...sums } = sumUp([...nodes.values()]);
  const bytes = Object.entries(sums).map(([name, sum]) => [`${name}Bytes`, Number(sum)] as const);
  return { files, deepest, empty, trees, ...Object.fromEntries(bytes) };
};
