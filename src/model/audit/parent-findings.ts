import { counted } from '../bytes.ts';
import {
  isLiving,
  isUnderWay,
  nameOf,
  type AuditFacts,
  type EdgeFact,
  type FileFact,
  type Finding,
  type FindingKind,
  type RecordFact,
} from './facts.ts';
import { edgeName, isBusy, parentInodeOf, trueParent, type Graph } from './facts-graph.ts';

/** What the records, the edges and GPFS say of parents and children, where they differ. */
export function graphFindings(facts: AuditFacts, graph: Graph): readonly Finding[] {
  const resting = facts.records.filter((record) => isLiving(record) && !isUnderWay(record));
  return [
    ...resting.flatMap((record) => parentFindings(graph, record)),
    ...cycles(graph, resting),
    ...facts.edges.flatMap((edge) => edgeFindings(graph, edge)),
    ...resting.flatMap((record) => missingEdge(graph, record)),
    ...resting.flatMap((record) => countFindings(facts, graph, record)),
  ];
}

const found = (
  kind: FindingKind,
  record: RecordFact,
  says: string,
  remedy: string,
): readonly Finding[] => [{ kind, object: record.id, says: `${nameOf(record)} ${says}`, remedy }];

function parentFindings(graph: Graph, record: RecordFact): readonly Finding[] {
  const inode = parentInodeOf(graph, record.key);
  if (inode !== undefined && !graph.byInode.has(inode))
    return found(
      'nameless parent',
      record,
      `reads through inode ${inode}, which has no name in this root`,
      'find it with find -inum below the fileset, and rename it back with mv -n, which overwrites nothing; it cannot be removed while it is read through',
    );
  const truth = trueParent(graph, record.key);
  if (truth === record.parent) return [];
  if (!isKnown(graph, record.parent))
    return found(
      'unknown parent',
      record,
      `has the parent ${record.parent ?? ''}, which no record knows`,
      '--repair takes the parent that GPFS names',
    );
  return truth === undefined ? [] : differingParent(graph, record, truth);
}

const isKnown = (graph: Graph, parent: string | null): boolean =>
  parent === null || graph.records.has(parent);

function differingParent(graph: Graph, record: RecordFact, truth: string | null) {
  const said = record.parent ?? 'none';
  if (!isKnown(graph, truth) && trueParent(graph, truth ?? undefined) === record.parent)
    return found(
      'extra level',
      record,
      `reads through ${truth ?? ''}, which no record knows, and that through ${said}`,
      'a server that slept cut it late; --repair makes a record for it',
    );
  return found(
    'wrong parent',
    record,
    `has the parent ${said} in its record, and ${truth ?? 'none'} as GPFS says`,
    '--repair takes what GPFS says',
  );
}

/** Each circle once, named by all that is in it. */
function cycles(graph: Graph, records: readonly RecordFact[]): readonly Finding[] {
  const reported = new Set<string>();
  return records.flatMap(({ key = '' }): Finding[] => {
    const circle = circleFrom(graph, key);
    const [first] = circle;
    if (first === undefined || reported.has(first)) return [];
    for (const each of circle) reported.add(each);
    return [
      {
        kind: 'cycle',
        object: first,
        says: `the records make a circle of parents: ${[...circle, first].join(' -> ')}`,
        remedy: '--repair takes the parents that GPFS names',
      },
    ];
  });
}

function circleFrom(graph: Graph, key: string): readonly string[] {
  const path = new Set<string>();
  let at: string | null = key;
  while (at !== null && !path.has(at)) {
    path.add(at);
    at = graph.records.get(at)?.parent ?? null;
  }
  const all = [...path];
  return at === null ? [] : all.slice(all.indexOf(at));
}

function edgeFindings(graph: Graph, edge: EdgeFact): readonly Finding[] {
  const { parent, child } = edge;
  if (isBusy(graph, parent, child)) return [];
  const truth = trueParent(graph, child);
  const isThere = graph.files.has(child) || graph.records.has(child);
  if (isThere && (truth === undefined || truth === parent)) return [];
  const why = isThere ? `which reads through ${truth ?? 'nothing'}` : 'which is not there';
  return [
    {
      kind: 'edge without child',
      object: edgeName(edge),
      says: `${parent} is kept for ${child}, ${why}`,
      remedy: '--repair removes the edge, so that the parent can go when nobody needs it',
    },
  ];
}

function missingEdge(graph: Graph, { id, key = '', parent }: RecordFact): readonly Finding[] {
  if (parent === null || isBusy(graph, key, parent)) return [];
  if (graph.edges.has(edgeName({ parent, child: key })) || !reads(graph, key, parent)) return [];
  return [
    {
      kind: 'child without edge',
      object: id,
      says: `${key} reads through ${parent}, and there is no edge that says so`,
      remedy: '--repair adds it; until then only GPFS keeps the parent from being removed',
    },
  ];
}

/** Both are there, and GPFS names no other parent: then it is the record that is wrong. */
function reads(graph: Graph, key: string, parent: string): boolean {
  const truth = trueParent(graph, key);
  const isThere = graph.records.has(parent) && graph.files.has(key);
  return isThere && (truth === undefined || truth === parent);
}

function countFindings(
  { linkCount }: AuditFacts,
  graph: Graph,
  record: RecordFact,
): readonly Finding[] {
  const file = parentFile(graph, record);
  if (!file) return [];
  const children = graph.children.get(file.inode) ?? 0;
  if (linkCount && file.links !== 1 + children)
    return found(
      'unknown children',
      record,
      `has ${counted(file.links - 1, 'child', 'children')} by its link count, and ${children} are in this root`,
      'a clone of it lies elsewhere, or was removed while a node had it open; the second ends by itself',
    );
  if (record.kind !== 'hidden' || children > 0) return [];
  return found(
    'childless parent',
    record,
    'is read through by nobody any more',
    'nothing: a server removes it at its next sweep',
  );
}

function parentFile(graph: Graph, { key }: RecordFact): FileFact | undefined {
  const file = graph.files.get(key ?? '');
  return file?.clone?.kind === 'parent' && !isBusy(graph, key) ? file : undefined;
}
