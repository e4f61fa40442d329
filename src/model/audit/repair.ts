import {
  isLiving,
  type AuditData,
  type AuditFacts,
  type FileFact,
  type RecordFact,
} from './facts.ts';
import { edgeName, graphOf, isBusy, trueParent, type Graph } from './facts-graph.ts';
import type { Bytes } from '../bytes.ts';
import { orphansIn } from './findings.ts';
import { ownerOfKey, type FileKey } from '../ids.ts';

/** What a record for a file that none knows would say. */
export interface Rebuilt {
  readonly key: string;
  readonly data: AuditData;
  readonly inode: bigint;
  readonly bytes: Bytes;
  readonly parent: string | null;
}

/** One step that repairs a root. None of them removes data. */
export type Repair =
  | { readonly do: 'set aside'; readonly path: string; readonly why: string }
  | { readonly do: 'add edge'; readonly parent: string; readonly child: string }
  | { readonly do: 'make volume'; readonly id: string; readonly file: Rebuilt }
  | {
      readonly do: 'make snapshot';
      readonly id: string;
      readonly file: Rebuilt;
      /** The one volume that reads through it; undefined where there are several or none. */
      readonly volume: string | undefined;
    }
  | { readonly do: 'make clone parent'; readonly file: Rebuilt }
  | {
      readonly do: 'correct parent';
      readonly kind: Exclude<RecordFact['kind'], 'group'>;
      readonly id: string;
      readonly key: string;
      readonly parent: string | null;
    }
  | { readonly do: 'drop edge'; readonly parent: string; readonly child: string }
  | { readonly do: 'drop mark'; readonly image: string; readonly node: string }
  /** Something that no rule decides: it is reported and left as it is. */
  | { readonly do: 'leave'; readonly object: string; readonly why: string };

/** What comes first: a record that cannot be read hides its object until it is set aside. */
export const planClearing = ({ broken }: AuditFacts, minAgeMs: number): readonly Repair[] =>
  broken.map(({ path, why, newer, ageMs }): Repair => {
    if (newer) return { do: 'leave', object: path, why: 'a newer version of the driver wrote it' };
    if (ageMs < minAgeMs) return tooYoung(path);
    return { do: 'set aside', path, why };
  });

/**
 * What repairs the rest, in this order: edges, so that no parent looks childless; records; parents in records;
 * edges and marks that are not needed; files without a record. What a live server works on, or is
 * younger than `minAgeMs`, is left.
 */
export function planRepair(facts: AuditFacts, minAgeMs: number): readonly Repair[] {
  const graph = graphOf(facts);
  const known = knownOf(facts, graph);
  const orphans = orphansIn(facts).filter(({ name }) => !isBusy(graph, name));
  const decided = orphans.map((file) =>
    file.ageMs < minAgeMs ? tooYoung(file.path) : forOrphan(known, file),
  );
  const records = decided.filter(({ do: what }) => what.startsWith('make'));
  const going = new Set(decided.flatMap((each) => (each.do === 'set aside' ? [each.path] : [])));
  return [
    ...missingEdges(graph, facts, going),
    ...records,
    ...facts.records.flatMap((record) => correctParent(graph, record)),
    ...facts.edges.flatMap((edge) => needlessEdge(graph, edge, minAgeMs)),
    ...facts.marks
      .filter(({ dead }) => dead)
      .map(({ image, node }): Repair => ({ do: 'drop mark', image, node })),
    ...decided.filter((each) => !records.includes(each)),
    ...strange(facts, minAgeMs),
  ];
}

const tooYoung = (object: string): Repair => ({
  do: 'leave',
  object,
  why: 'it is too young; somebody may be at work on it',
});

/** Every edge that GPFS says there is, between files of this root. */
function missingEdges(
  graph: Graph,
  { files }: AuditFacts,
  going: ReadonlySet<string>,
): readonly Repair[] {
  return files.flatMap(({ name, path, inPlace }): Repair[] => {
    const parent = trueParent(graph, name);
    const wanted = inPlace && typeof parent === 'string' && graph.files.get(parent)?.inPlace;
    if (!wanted || isBusy(graph, name) || going.has(path)) return [];
    return graph.edges.has(edgeName({ parent, child: name }))
      ? []
      : [{ do: 'add edge', parent, child: name }];
  });
}

/** What is looked up for each file without a record. */
interface Known {
  readonly graph: Graph;
  /** `volume pvc-1` of every record, deleted ones too. */
  readonly records: ReadonlySet<string>;
  /** Files without a record by the object that may have had them. */
  readonly orphans: ReadonlyMap<string, readonly FileFact[]>;
  /** Volumes by the clone parents that they read through. */
  readonly below: ReadonlyMap<string, readonly string[]>;
}

function knownOf(facts: AuditFacts, graph: Graph): Known {
  const orphans = new Map<string, FileFact[]>();
  for (const file of orphansIn(facts)) add(orphans, objectOf(file), file);
  const below = new Map<string, string[]>();
  for (const { data, name, inPlace } of facts.files)
    if (inPlace && data === 'volumes')
      for (const parent of parentsOf(graph, name)) add(below, parent, ownerOfKey(name as FileKey));
  const records = new Set(facts.records.map(({ kind, id }) => `${kind} ${id}`));
  return { graph, records, orphans, below };
}

function add<T>(lists: Map<string, T[]>, name: string, item: T): void {
  const list = lists.get(name);
  if (list) list.push(item);
  else lists.set(name, [item]);
}

const objectOf = ({ data, name }: FileFact): string => `${data} ${ownerOfKey(name as FileKey)}`;

/** All clone parents of a file, as GPFS reports them; ends at a circle. */
function parentsOf(graph: Graph, key: string): ReadonlySet<string> {
  const seen = new Set<string>();
  let at = trueParent(graph, key);
  while (typeof at === 'string' && !seen.has(at)) {
    seen.add(at);
    at = trueParent(graph, at);
  }
  return seen;
}

function forOrphan(known: Known, file: FileFact): Repair {
  const { graph } = known;
  const { name: key, data, inode, size: bytes } = file;
  const parent = trueParent(graph, key);
  if (!file.isFile) return setAside(file, 'it is not a regular file');
  if (parent === undefined)
    return leave(file, 'GPFS does not say what it reads through, or that has no name in this root');
  const rebuilt = { key, data, inode, bytes, parent };
  const hasChildren = (graph.children.get(inode) ?? 0) > 0;
  if (data === 'volumes') return forImage(known, file, rebuilt, hasChildren);
  if (isNewestSnapshot(known, file)) {
    const id = ownerOfKey(key as FileKey);
    return { do: 'make snapshot', id, file: rebuilt, volume: onlyVolumeBelow(known, key) };
  }
  // A file reads through it, so it needs a record; its name is not known.
  if (hasChildren) return { do: 'make clone parent', file: rebuilt };
  return setAside(file, 'nothing reads through it, and no object is known that it belongs to');
}

/** Without a record, the newest file of a snapshot's id is the snapshot: the id was free when it was made. */
function isNewestSnapshot(known: Known, file: FileFact): boolean {
  const id = ownerOfKey(file.name as FileKey);
  const isNewest = rivals(known, file).every(({ name }) => numberOf(name) < numberOf(file.name));
  return file.data === 'snapshots' && !known.records.has(`snapshot ${id}`) && isNewest;
}

const numberOf = (key: string): number => Number(/\.(\d+)-/.exec(key)?.[1] ?? 0);

function forImage(known: Known, file: FileFact, rebuilt: Rebuilt, hasChildren: boolean): Repair {
  const id = ownerOfKey(file.name as FileKey);
  if (hasChildren) return leave(file, 'it is an image, and other files read through it');
  if (known.records.has(`volume ${id}`))
    return setAside(file, `the record of volume ${id} names another image, or none`);
  if (rivals(known, file).length > 0)
    return leave(file, `volume ${id} has several images and no record that says which is the one`);
  return { do: 'make volume', id, file: rebuilt };
}

/** Other files without a record that the same object may have had. */
const rivals = ({ orphans }: Known, file: FileFact): readonly FileFact[] =>
  (orphans.get(objectOf(file)) ?? []).filter(({ name }) => name !== file.name);

function onlyVolumeBelow({ below }: Known, key: string): string | undefined {
  const [first, ...more] = below.get(key) ?? [];
  return more.length === 0 ? first : undefined;
}

function correctParent(graph: Graph, record: RecordFact): readonly Repair[] {
  const { kind, id, key } = record;
  if (kind === 'group' || !isLiving(record)) return [];
  if (key === undefined || isBusy(graph, key)) return [];
  const parent = trueParent(graph, key);
  if (parent === undefined || parent === record.parent || !hasItsFile(graph, record)) return [];
  return [{ do: 'correct parent', kind, id, key, parent }];
}

/** Where the file belongs to another object, its parent says nothing of this one. */
function hasItsFile(graph: Graph, { key, inode }: RecordFact): boolean {
  const file = graph.files.get(key ?? '');
  return file?.inPlace === true && (inode === undefined || inode === file.inode);
}

function needlessEdge(
  graph: Graph,
  { parent, child, ageMs }: AuditFacts['edges'][number],
  minAgeMs: number,
): readonly Repair[] {
  if (ageMs < minAgeMs || isBusy(graph, parent, child)) return [];
  const truth = trueParent(graph, child);
  const isThere = graph.files.has(child) || graph.records.has(child);
  if (isThere && (truth === undefined || truth === parent)) return [];
  return [{ do: 'drop edge', parent, child }];
}

function strange(facts: AuditFacts, minAgeMs: number): readonly Repair[] {
  const inodes = new Set(facts.records.filter(isLiving).map(({ inode }) => inode));
  return facts.files
    .filter(({ inPlace, inode }) => !inPlace && !inodes.has(inode))
    .map((file) =>
      file.ageMs < minAgeMs
        ? tooYoung(file.path)
        : setAside(file, 'the driver gives this name and place to no file'),
    );
}

const setAside = ({ path }: FileFact, why: string): Repair => ({ do: 'set aside', path, why });
const leave = ({ path }: FileFact, why: string): Repair => ({ do: 'leave', object: path, why });

/** What a repair did, as a sentence. */
export function describeRepair(repair: Repair): string {
  switch (repair.do) {
    case 'set aside':
      return `set ${repair.path} aside: ${repair.why}`;
    case 'add edge':
      return `noted that ${repair.child} reads through ${repair.parent}`;
    case 'make volume':
      return `made a record for volume ${repair.id}: image ${repair.file.key}, parent ${repair.file.parent ?? 'none'}; what it holds, its class and its attachments are not known, so it is never formatted, and must be attached again`;
    case 'make snapshot':
      return `made a record for snapshot ${repair.id}: file ${repair.file.key}, of ${repair.volume === undefined ? 'a volume that is not known' : `volume ${repair.volume} as it seems`}; it may have been deleted before, then delete it again`;
    case 'make clone parent':
      return `made a record for clone parent ${repair.file.key}`;
    case 'correct parent':
      return `corrected the parent of ${repair.kind} ${repair.id} to ${repair.parent ?? 'none'}`;
    case 'drop edge':
      return `dropped the edge ${repair.parent} > ${repair.child}`;
    case 'drop mark':
      return `dropped the mark of node ${repair.node} on ${repair.image}`;
    case 'leave':
      return `left ${repair.object}: ${repair.why}`;
  }
}
