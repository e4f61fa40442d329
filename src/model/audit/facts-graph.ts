import {
  isLiving,
  type AuditFacts,
  type EdgeFact,
  type FileFact,
  type RecordFact,
} from './facts.ts';

/** The facts of one root, indexed. */
export interface Graph {
  /** Living objects by the key of their file; of several that name one, the last. */
  readonly records: ReadonlyMap<string, RecordFact>;
  readonly files: ReadonlyMap<string, FileFact>;
  readonly byInode: ReadonlyMap<bigint, FileFact>;
  readonly edges: ReadonlySet<string>;
  /** How many files GPFS says read through an inode. */
  readonly children: ReadonlyMap<bigint, number>;
  /** Keys that a running or interrupted operation works on. */
  readonly busy: ReadonlySet<string>;
}

/** The facts of one root as a graph. */
export function graphOf({ records, files, aside, edges, copies, barred }: AuditFacts): Graph {
  const living = records.filter(isLiving);
  const inodes = [...files, ...aside].flatMap(({ clone }) => clone?.parentInode ?? []);
  const children = new Map<bigint, number>();
  for (const inode of inodes) children.set(inode, (children.get(inode) ?? 0) + 1);
  const claimed = records.filter(({ claim }) => claim !== undefined);
  const busy = claimed.flatMap(({ key, parent, claim }) =>
    [key, parent, ...(claim?.keys ?? [])].flatMap((each) => each ?? []),
  );
  // Where a name exists twice, the file in the right place counts.
  const named = [...files].sort((a, b) => Number(a.inPlace) - Number(b.inPlace));
  return {
    records: new Map(living.map((record) => [record.key ?? '', record])),
    files: new Map(named.map((file) => [file.name, file])),
    byInode: new Map(files.map((file) => [file.inode, file])),
    edges: new Set(edges.map(edgeName)),
    children,
    busy: new Set([
      ...busy,
      ...copies.flatMap(({ parent, child }) => [parent, child]),
      ...barred.map(({ key }) => key),
    ]),
  };
}

/** Keys of files that a running or interrupted operation works on. */
export const isBusy = ({ busy }: Graph, ...keys: readonly (string | null | undefined)[]): boolean =>
  keys.some((key) => key !== undefined && key !== null && busy.has(key));

/** A text for an edge that is used as a key. */
export const edgeName = ({ parent, child }: Pick<EdgeFact, 'parent' | 'child'>): string =>
  `${parent} > ${child}`;

/** The inode that GPFS says a file reads through. */
export const parentInodeOf = (graph: Graph, key: string | undefined): bigint | undefined =>
  graph.files.get(key ?? '')?.clone?.parentInode;

/** The parent GPFS says a file has: a key, null, or undefined where it has no name here or GPFS was not asked. */
export function trueParent(graph: Graph, key: string | undefined): string | null | undefined {
  const clone = graph.files.get(key ?? '')?.clone;
  if (!clone) return undefined;
  const { parentInode } = clone;
  return parentInode === undefined ? null : graph.byInode.get(parentInode)?.name;
}
