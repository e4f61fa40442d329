import {
  isLiving,
  nameOf,
  severities,
  type AuditFacts,
  type ClaimFact,
  type FileFact,
  type Finding,
  type RecordFact,
} from './facts.ts';
import { asideFindings } from './aside-findings.ts';
import { brokenFindings, restoredFindings } from './broken-findings.ts';
import { renamedFrom } from './doubts.ts';
import { fileFindings } from './file-findings.ts';
import { graphOf } from './facts-graph.ts';
import { graphFindings } from './parent-findings.ts';
import { ownerOfKey, type FileKey } from '../ids.ts';

const hourMs = 3_600_000;

/** All that does not agree in one root, worst first, then by object. */
export function findingsOf(facts: AuditFacts): readonly Finding[] {
  const graph = graphOf(facts);
  const found = [
    ...brokenFindings(facts),
    ...facts.records.filter(isLiving).flatMap((record) => fileFindings(facts, graph, record)),
    ...sharedFindings(facts),
    ...groupFindings(facts),
    ...strayFindings(facts),
    ...graphFindings(facts, graph),
    ...claimFindings(facts),
    ...markFindings(facts),
    ...temporaryFindings(facts),
    ...copyFindings(facts),
    ...barredFindings(facts),
    ...asideFindings(facts, graph),
  ];
  const restored = restoredFindings(facts, graph);
  const order = ['error', 'warning', 'note'];
  const rank = ({ kind }: Finding) => order.indexOf(severities[kind]);
  const rest = (restored.length > 0 ? found.map(afterRestore) : found).sort(
    (a, b) => rank(a) - rank(b) || (a.object < b.object ? -1 : 1),
  );
  return [...restored, ...rest];
}

/** In a root of two times each remedy could be the wrong one. */
const afterRestore = (finding: Finding): Finding =>
  severities[finding.kind] === 'note'
    ? finding
    : { ...finding, remedy: 'do nothing about it before the restored root above is dealt with' };

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
function groupFindings({ records, broken }: AuditFacts): readonly Finding[] {
  const ready = records.filter(({ state }) => state === 'ready');
  const snapshots = ready.filter(({ kind }) => kind === 'snapshot');
  // A snapshot whose record cannot be read is there, and is a finding of its own.
  const unread = new Set(broken.map(({ id }) => id));
  return ready.flatMap(({ kind, id, attempt, members = [] }): Finding[] => {
    if (kind !== 'group') return [];
    const has = snapshots.filter((each) => each.attempt === attempt).map((each) => each.id);
    return members
      .filter((member) => !has.includes(member) && !unread.has(member))
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
  const moved = new Set(facts.records.filter(isLiving).map((each) => renamedFrom(facts, each)));
  return [
    ...strange
      .filter((file) => !moved.has(file))
      .map(({ path }): Finding => ({
        kind: 'strange file',
        object: path,
        says: `${path} has a name or a place that the driver gives to no file`,
        remedy: 'move it out of the root; --repair sets it aside',
      })),
    ...facts.strays.map((path): Finding => ({
      kind: 'strange file',
      object: path,
      says: `${path} has a name or a place that the driver gives to no file`,
      remedy: 'move it out of the root, unless a newer version of the driver made it',
    })),
    ...orphansIn(facts).map(({ path }): Finding => ({
      kind: 'orphan',
      object: path,
      says: `${path} belongs to no record`,
      remedy: '--repair makes a record for it, or sets it aside where its object has another file',
    })),
  ];
}

/** What is pending: each operation of a server that is not there, with the files that it made. */
const claimFindings = ({ records, files }: AuditFacts): readonly Finding[] =>
  records.flatMap((record) =>
    [record.claim, record.retype].flatMap((claim): Finding[] => {
      if (!claim || claim.fate === 'alive') return [];
      const made = files.filter(({ name }) => name !== record.key && claim.keys.includes(name));
      const so = made.map(({ path }) => `, ${path} is there`).join('');
      return [
        {
          kind: 'dead claim',
          object: record.id,
          says: `${nameOf(record)} is claimed by node ${claim.node} (${claim.op}), which is ${claim.fate}${so}`,
          remedy: remedyOfClaim(claim),
        },
      ];
    }),
  );

function remedyOfClaim({ op, fate, node }: ClaimFact): string {
  if (op === 'modify')
    return 'the next change of its attributes ends it, or the next request for it';
  if (fate === 'silent' && op === 'expand')
    return `restart the driver on ${node}, or remove its file in nodes/ if that node is gone for good`;
  return 'the next request for it ends what was begun; without one, a server does that at the first sweep after an hour';
}

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

const barredFindings = ({ barred }: AuditFacts): readonly Finding[] =>
  barred.map(({ key, node }) => ({
    kind: 'barred name',
    object: key,
    says: `a directory keeps node ${node} from making ${key}: another server ended that operation, and a command of it may still run there`,
    remedy: `nothing where the driver on ${node} runs or comes back; where that node is gone for good, remove its file in nodes/`,
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
