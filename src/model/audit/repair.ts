import { hasItsFile, isRestored, numberOf, ownerOfName } from './doubts.ts';
import { isLiving, nameOf, type AuditFacts, type FileFact, type RecordFact } from './facts.ts';
import { edgeName, graphOf, isBusy, trueParent, type Graph } from './facts-graph.ts';
import { isWholeDisk } from './file-findings.ts';
import { orphansIn } from './findings.ts';
import type { Rebuilt, Repair } from './repair-words.ts';
import { ownerOfKey, type FileKey } from '../ids.ts';

/**
 * What comes first: a record that cannot be read hides its object until it is set aside, and lower versions with it:
 * what they say is not so any more. Other files of the driver are left: a damaged mark still keeps a second node away.
 */
export const planClearing = (facts: AuditFacts, minAgeMs: number): readonly Repair[] => {
  if (isRestored(facts, graphOf(facts))) return [];
  return facts.broken.flatMap(({ path, why, newer, ageMs, id, older = [] }): Repair[] => {
    if (newer) return [leavePath(path, 'a newer version of the driver wrote it')];
    if (id === undefined) return [leavePath(path, why)];
    if (ageMs < minAgeMs) return [tooYoung(path)];
    const lower = older.map((each): Repair => ({
      do: 'set aside',
      path: each,
      why: `it is older than ${path}, which cannot be used`,
    }));
    return [...lower, { do: 'set aside', path, why }];
  });
};

/**
 * What repairs the rest, in this order: edges, so that no parent looks childless; records; parents in records;
 * edges and marks that are not needed; files without a record. What a live server works on, or is
 * younger than `minAgeMs`, is left.
 */
export function planRepair(facts: AuditFacts, minAgeMs: number): readonly Repair[] {
  const graph = graphOf(facts);
  if (isRestored(facts, graph)) return [leavePath('this root', whyRestored)];
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
    ...facts.records.flatMap((record) => correctSize(graph, record)),
    ...facts.edges.flatMap((edge) => needlessEdge(graph, edge, minAgeMs)),
    ...facts.marks
      .filter(({ dead }) => dead)
      .map(({ image, node }): Repair => ({ do: 'drop mark', image, node })),
    ...decided.filter((each) => !records.includes(each)),
    ...strange(facts, graph, minAgeMs),
  ];
}

const whyRestored =
  'its records and its files are of different times, so no rule decides anything; see docs/restored-root.md';

const leavePath = (object: string, why: string): Repair => ({ do: 'leave', object, why });

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
  readonly records: ReadonlyMap<string, RecordFact>;
  /** Ids of records that cannot be read. */
  readonly unread: ReadonlySet<string>;
  /** Ids of volumes that moved to another root. */
  readonly moved: ReadonlySet<string>;
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
  const records = new Map(facts.records.map((each) => [`${each.kind} ${each.id}`, each]));
  const unread = new Set(facts.broken.flatMap(({ id }) => id ?? []));
  return { graph, records, unread, moved: facts.moved, orphans, below };
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
  const id = ownerOfKey(key as FileKey);
  if (known.unread.has(id) || known.unread.has(key))
    return leave(file, `the record of ${id} cannot be read`);
  if (!file.isFile) return setAside(file, 'it is not a regular file');
  if (parent === undefined)
    return leave(file, 'GPFS does not say what it reads through, or that has no name in this root');
  const rebuilt = { key, data, inode, bytes, parent };
  const hasChildren = (graph.children.get(inode) ?? 0) > 0;
  if (data === 'volumes') return forImage(known, file, rebuilt, hasChildren);
  return forParent(known, file, rebuilt, hasChildren);
}

function forParent(known: Known, file: FileFact, rebuilt: Rebuilt, hasChildren: boolean): Repair {
  const { name: key, data } = file;
  const id = ownerOfKey(key as FileKey);
  if (isNewestSnapshot(known, file))
    return { do: 'make snapshot', id, file: rebuilt, volume: onlyVolumeBelow(known, key) };
  // A file reads through it, so it needs a record; its name is not known.
  if (hasChildren) return { do: 'make clone parent', file: rebuilt };
  const object = known.records.get(`${data === 'snapshots' ? 'snapshot' : 'volume'} ${id}`);
  if (object && !isWhole(known.graph, object)) return leave(file, whyNotWhole(object));
  return setAside(file, 'nothing reads through it, and no object is known that it belongs to');
}

/** Without a record, the newest file of a snapshot's id is the snapshot: the id was free when it was made. */
function isNewestSnapshot(known: Known, file: FileFact): boolean {
  const id = ownerOfKey(file.name as FileKey);
  const isNewest = rivals(known, file).every(({ name }) => numberOf(name) < numberOf(file.name));
  return file.data === 'snapshots' && !known.records.has(`snapshot ${id}`) && isNewest;
}

function forImage(known: Known, file: FileFact, rebuilt: Rebuilt, hasChildren: boolean): Repair {
  const id = ownerOfKey(file.name as FileKey);
  if (hasChildren) return leave(file, 'it is an image, and other files read through it');
  const record = known.records.get(`volume ${id}`);
  if (record && !isWhole(known.graph, record)) return leave(file, whyNotWhole(record));
  if (record) return setAside(file, `the record of volume ${id} names another image, or none`);
  if (known.moved.has(id)) return leave(file, `volume ${id} moved to another root`);
  if (file.links > 1)
    return leave(file, `it has ${file.links} names, and may be the image of a volume elsewhere`);
  if (rivals(known, file).length > 0)
    return leave(file, `volume ${id} has several images and no record that says which is the one`);
  return { do: 'make volume', id, file: rebuilt };
}

/** Whether an object has all that its record says, or is deleted: then a file that the record does not name is left over. */
const isWhole = (graph: Graph, record: RecordFact): boolean =>
  record.state === 'deleted' || (isLiving(record) && hasItsFile(graph, record));

const whyNotWhole = (record: RecordFact): string =>
  `${nameOf(record)} lacks the file that its record names, so this may be all that is left of it`;

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

/** A command that ended late made the file longer than its record says; a shorter file is never taken for right. */
function correctSize(graph: Graph, record: RecordFact): readonly Repair[] {
  const { kind, id } = record;
  if (kind === 'group' || !isLiving(record) || !hasItsFile(graph, record)) return [];
  const file = graph.files.get(record.key ?? '');
  if (!file || isBusy(graph, file.name) || !isTooLong(file, record)) return [];
  return [{ do: 'correct size', kind, id, key: file.name, bytes: file.size }];
}

const isTooLong = (file: FileFact, { bytes }: RecordFact): boolean =>
  file.size > bytes && isWholeDisk(file);

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

/** A file whose inode or whose owner is that of a living object stays: it may be what that object lost. */
function strange(facts: AuditFacts, graph: Graph, minAgeMs: number): readonly Repair[] {
  const living = facts.records.filter(isLiving);
  const inodes = new Set(living.map(({ inode }) => inode));
  const lacking = new Set(
    living.filter((each) => !hasItsFile(graph, each)).map(({ id }) => ownerOfName(id)),
  );
  return facts.files
    .filter(({ inPlace, inode }) => !inPlace && !inodes.has(inode))
    .map((file) => {
      if (file.ageMs < minAgeMs) return tooYoung(file.path);
      if (lacking.has(ownerOfName(file.name)))
        return leave(file, `${ownerOfName(file.name)} lacks its file, and this may be it`);
      return setAside(file, 'the driver gives this name and place to no file');
    });
}

const setAside = ({ path }: FileFact, why: string): Repair => ({ do: 'set aside', path, why });
const leave = ({ path }: FileFact, why: string): Repair => ({ do: 'leave', object: path, why });
