import { importsOf } from './imports.ts';
import { filesIn, type Tree } from './tree.ts';

type Graph = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Circles of imports, types included: at every level of src, the files and folders that lie side by side (a folder
 * taken as one) form no circle. Each circle is one sentence that names its members.
 */
export function circles(tree: Tree): readonly string[] {
  const imports = filesIn(tree, 'src', '.ts').flatMap((file) => importsOf(tree, file));
  return [...levelsOf(imports)].flatMap(([folder, graph]) =>
    knots(graph).map(
      (members) =>
        `in ${folder}, ${members.join(', ')} import each other: move what both need into a file below them`,
    ),
  );
}

/** For each folder, which of its files and folders import which others of them. */
function levelsOf(
  imports: readonly { readonly from: string; readonly to: string }[],
): ReadonlyMap<string, Map<string, Set<string>>> {
  const levels = new Map<string, Map<string, Set<string>>>();
  for (const { from, to } of imports) {
    const a = from.split('/');
    const b = to.split('/');
    const depth = a.findIndex((part, n) => part !== b[n]);
    if (b[0] !== 'src' || depth < 1) continue;
    const folder = a.slice(0, depth).join('/');
    const graph = levels.get(folder) ?? new Map<string, Set<string>>();
    const targets = graph.get(a[depth] ?? '') ?? new Set();
    levels.set(folder, graph.set(a[depth] ?? '', targets.add(b[depth] ?? '')));
  }
  return levels;
}

/** Groups of nodes that all reach each other; what no circle goes through is in none. */
function knots(graph: Graph): readonly (readonly string[])[] {
  const reachable = new Map([...graph.keys()].map((node) => [node, reach(graph, node)]));
  const reaches = (a: string, b: string) => reachable.get(a)?.has(b) === true;
  const inCircle = [...graph.keys()].filter((node) => reaches(node, node));
  const groups = inCircle.map((node) =>
    inCircle.filter((other) => reaches(node, other) && reaches(other, node)).sort(),
  );
  const distinct = new Map(groups.map((group) => [group.join(), group]));
  return [...distinct.values()];
}

/** All that a node leads to; itself only where a circle leads back. */
function reach(graph: Graph, start: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [...(graph.get(start) ?? [])];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    open.push(...(graph.get(node) ?? []));
  }
  return seen;
}
