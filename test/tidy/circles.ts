import { importsOf, type Import } from './imports.ts';
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
function levelsOf(imports: readonly Import[]): ReadonlyMap<string, Map<string, Set<string>>> {
  const levels = new Map<string, Map<string, Set<string>>>();
  for (const each of imports) {
    const parting = partingOf(each);
    if (!parting) continue;
    const { folder, from, to } = parting;
    const graph = levels.get(folder) ?? new Map<string, Set<string>>();
    graph.set(from, (graph.get(from) ?? new Set<string>()).add(to));
    levels.set(folder, graph);
  }
  return levels;
}

/** The folder where the two paths of an import part, and what each goes on with; undefined for what is not in src. */
function partingOf({ from, to }: Import) {
  const [a, b] = [from.split('/'), to.split('/')];
  const depth = a.findIndex((part, n) => part !== b[n]);
  const [one, other] = [a[depth], b[depth]];
  if (depth < 1 || one === undefined || other === undefined) return undefined;
  return { folder: a.slice(0, depth).join('/'), from: one, to: other };
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
