import {
  isLiving,
  isUnderWay,
  nameOf,
  severities,
  type AuditFacts,
  type FileFact,
  type Finding,
  type FindingKind,
  type RecordFact,
} from './facts.ts';
import { showBytes } from '../bytes.ts';
import { graphOf, type Graph } from './facts-graph.ts';
import { graphFindings } from './parent-findings.ts';
import { ownerOfKey, type FileKey } from '../ids.ts';

const hourMs = 3_600_000;

/** All that does not agree in one root, worst first, then by object. */
export function findingsOf(facts: AuditFacts): readonly Finding[] {
  const graph = graphOf(facts);
  const found = [
    ...brokenFindings(facts),
    ...facts.records.filter(isLiving).flatMap((record) => fileFindings(graph, record)),
    ...sharedFindings(facts),
    ...groupFindings(facts),
    ...strayFindings(facts),
    ...graphFindings(facts, graph),
    ...claimFindings(facts),
    ...markFindings(facts),
    ...temporaryFindings(facts),
    ...copyFindings(facts),
  ];
  const order = ['error', 'warning', 'note'];
  const rank = ({ kind }: Finding) => order.indexOf(severities[kind]);
  return found.sort((a, b) => rank(a) - rank(b) || (a.object < b.object ? -1 : 1));
}

const brokenFindings = ({ broken }: AuditFacts): readonly Finding[] =>
  broken.map(({ path, why, newer }) =>
    newer
      ? {
          kind: 'newer record',
          object: path,
          says: `${path} was written by a newer version of the driver`,
          remedy: 'upgrade this one',
        }
      : {
          kind: 'damaged record',
          object: path,
          says: `${path} cannot be used: ${why}`,
          remedy:
            'restore it from a backup; --repair sets it aside and makes a new one from the file it was about',
        },
  );

function fileFindings(graph: Graph, record: RecordFact): readonly Finding[] {
  if (isUnderWay(record) || !['ready', 'waiting'].includes(record.state)) return [];
  const file = graph.files.get(record.key ?? '');
  if (!file?.inPlace || file.data !== record.data) return [missing(graph, record)];
  const why = whyWrong(file, record);
  if (!why) return [];
  const [kind, says, remedy] = why;
  return [{ kind, object: record.id, says: `${nameOf(record)}: ${file.path} ${says}`, remedy }];
}

type Why = readonly [kind: FindingKind, says: string, remedy: string];

function whyWrong(file: FileFact, record: RecordFact): Why | undefined {
  if (!file.isFile)
    return ['not a file', 'is not a regular file', 'put the image back in its place'];
  if (record.inode !== undefined && file.inode !== record.inode)
    return [
      'replaced file',
      `has inode ${file.inode}, the record says ${record.inode}: it is another file`,
      'put the right file back under this name; until then it is neither staged nor deleted',
    ];
  if (file.size < record.bytes)
    return [
      'short file',
      `has ${showBytes(file.size)}, the record says ${showBytes(record.bytes)}`,
      'something cut it off: look at what is in it, and grow it again with truncate(1)',
    ];
  return undefined;
}

function missing(graph: Graph, record: RecordFact): Finding {
  const moved = record.inode === undefined ? undefined : graph.byInode.get(record.inode);
  const name = nameOf(record);
  if (moved)
    return {
      kind: 'renamed file',
      object: record.id,
      says: `${name}: its file ${record.data}/${record.key ?? ''} is at ${moved.path} now`,
      remedy: 'rename it back',
    };
  return {
    kind: 'missing file',
    object: record.id,
    says: `${name}: its file ${record.data}/${record.key ?? ''} is not there`,
    remedy: 'restore it under this name, or delete the object: nothing of it is left to lose',
  };
}

/** Removing a record that names the file of another object would remove that file too. */
function sharedFindings({ records }: AuditFacts): readonly Finding[] {
  const byKey = new Map<string, RecordFact[]>();
  for (const record of records.filter(isLiving)) {
    const key = record.key ?? '';
    byKey.set(key, [...(byKey.get(key) ?? []), record]);
  }
  return [...byKey].flatMap(([key, named]) =>
    named.flatMap((record): Finding[] => {
      const whose = otherOwner(key, record, named);
      if (whose === undefined) return [];
      return [
        {
          kind: 'shared file',
          object: record.id,
          says: `${nameOf(record)} names the file ${key} ${whose}`,
          remedy: 'correct the record by hand; the driver refuses to delete such an object',
        },
      ];
    }),
  );
}

function otherOwner(
  key: string,
  record: RecordFact,
  named: readonly RecordFact[],
): string | undefined {
  const owner = ownerOfKey(key as FileKey);
  if (record.kind !== 'hidden' && owner !== record.id) return `of ${owner}`;
  const others = named.filter((other) => other !== record && !isBuried(record, other));
  return others.length === 0 ? undefined : `that ${others.map(nameOf).join(' and ')} names too`;
}

// Between the tombstone and the last version of its snapshot, both name the file.
const isBuried = (a: RecordFact, b: RecordFact): boolean =>
  [a, b].some(({ kind }) => kind === 'hidden') && [a, b].some(({ state }) => state === 'deleting');

/** A group that lacks one of its snapshots is shown to no caller. */
function groupFindings({ records }: AuditFacts): readonly Finding[] {
  const ready = records.filter(({ state }) => state === 'ready');
  const snapshots = ready.filter(({ kind }) => kind === 'snapshot');
  return ready.flatMap(({ kind, id, attempt, members = [] }): Finding[] => {
    if (kind !== 'group') return [];
    const has = snapshots.filter((each) => each.attempt === attempt).map((each) => each.id);
    return members
      .filter((member) => !has.includes(member))
      .map((member) => ({
        kind: 'broken group',
        object: id,
        says: `group ${id} lists snapshot ${member}, which is not there or not of this group`,
        remedy: 'restore what you need from its other snapshots, and delete the group',
      }));
  });
}

/** Keys that a record names, or that a running operation is about to make. */
function knownKeys({ records }: AuditFacts): ReadonlySet<string> {
  return new Set(
    records.flatMap((record) => [
      ...(isLiving(record) && record.key !== undefined ? [record.key] : []),
      ...(record.claim && record.claim.fate !== 'gone' ? record.claim.keys : []),
    ]),
  );
}

/** Files that no record knows. */
export function orphansIn(facts: AuditFacts): readonly FileFact[] {
  const known = knownKeys(facts);
  return facts.files.filter(({ inPlace, name }) => inPlace && !known.has(name));
}

function strayFindings(facts: AuditFacts): readonly Finding[] {
  const strange = facts.files.filter(({ inPlace }) => !inPlace);
  const inodes = new Set(facts.records.filter(isLiving).map(({ inode }) => inode));
  return [
    ...strange
      .filter(({ inode }) => !inodes.has(inode))
      .map(({ path }): Finding => ({
        kind: 'strange file',
        object: path,
        says: `${path} has a name or a place that the driver gives to no file`,
        remedy: 'move it out of the root; --repair sets it aside',
      })),
    ...orphansIn(facts).map(({ path }): Finding => ({
      kind: 'orphan',
      object: path,
      says: `${path} belongs to no record`,
      remedy: '--repair makes a record for it, or sets it aside where its object has another file',
    })),
  ];
}

const claimFindings = ({ records }: AuditFacts): readonly Finding[] =>
  records.flatMap((record): Finding[] => {
    const { claim } = record;
    if (!claim || claim.fate === 'alive') return [];
    return [
      {
        kind: 'dead claim',
        object: record.id,
        says: `${nameOf(record)} is claimed by node ${claim.node} (${claim.op}), which is ${claim.fate}`,
        remedy:
          claim.fate === 'silent' && claim.op === 'expand'
            ? `restart the driver on ${claim.node}, or remove its file in nodes/ if that node is gone for good`
            : 'the next request for it ends what was begun',
      },
    ];
  });

const markFindings = (facts: AuditFacts): readonly Finding[] => {
  const known = knownKeys(facts);
  return facts.marks.flatMap(({ image, node, dead }): Finding[] => {
    if (known.has(image) && !dead) return [];
    return [
      {
        kind: 'stale mark',
        object: `${image} on ${node}`,
        says: dead
          ? `node ${node} left a mark on image ${image} and has booted since`
          : `node ${node} has a mark on image ${image}, which no record knows`,
        remedy: dead
          ? 'it keeps nobody from anything; --repair removes it'
          : `unstage the volume on ${node}, or restart that node`,
      },
    ];
  });
};

const copyFindings = ({ copies }: AuditFacts): readonly Finding[] =>
  copies.map(({ parent, to, child }) => ({
    kind: 'source of a copy',
    object: parent,
    says: `${parent} is kept for ${child}, which is filled from it in root ${to}`,
    remedy: `nothing: it goes when the copy is made or given up, by a server that has root ${to} as well`,
  }));

const temporaryFindings = ({ temporaries }: AuditFacts): readonly Finding[] =>
  temporaries
    .filter(({ ageMs }) => ageMs > hourMs)
    .map(({ path }) => ({
      kind: 'temporary file',
      object: path,
      says: `${path} was left by a crash`,
      remedy: 'nothing: a server sweeps it',
    }));
