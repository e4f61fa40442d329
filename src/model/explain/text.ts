import { ageWords, plainName } from '../forest/words.ts';
import { nameShown } from '../kubernetes.ts';
import { adviceFor } from './advice.ts';
import type { Explanation, LocalFacts, ObjectFacts } from './facts.ts';
import { localRows } from './local-text.ts';
import { bulleted, rounded, size, table, took, type Row } from './rows.ts';

/** One screen for people. `nowMs` is the moment that ages are counted to. */
export function explanationText(said: Explanation, nowMs: number): string {
  const objects = said.objects.map((object) => objectText(object, said, nowMs));
  const local = said.onlyHere.map((here) => onlyHereText(here, said.node));
  return [...objects, ...local, ...bulleted('could not be read', said.problems)].join('\n');
}

/** The objects of an ambiguous word, a line each. */
export const choicesText = ({ word, objects }: Explanation): string =>
  [
    `${JSON.stringify(word)} names ${objects.length} objects; ask for one of them by the word in front:`,
    ...objects.map(
      (object) =>
        `  ${object.kind === 'volume' ? 'volume' : 'snapshot'}:${object.handle}  ${titleOf(object)} in ${object.root.path}`,
    ),
  ].join('\n');

const titleOf = (object: ObjectFacts): string => `${object.kind} ${plainName(nameShown(object))}`;

function objectText(object: ObjectFacts, said: Explanation, nowMs: number): string {
  const { here } = object;
  return [
    titleOf(object),
    ...table([
      ...identityRows(object, nowMs),
      ...useRows(object, nowMs),
      ...treeRows(object),
      ...workRows(object, nowMs),
    ]),
    ...(here ? [`on this node (${said.node})`, ...table(localRows(here))] : []),
    ...historyText(object, nowMs),
    ...bulleted('what to do next', adviceFor(object, said)),
  ].join('\n');
}

const onlyHereText = (here: LocalFacts & { readonly handle: string }, node: string): string =>
  [
    `volume ${here.handle}, whose root cannot be read now`,
    `on this node (${node})`,
    ...table(localRows(here)),
  ].join('\n');

function identityRows(object: ObjectFacts, nowMs: number): readonly Row[] {
  const { kind, name, handle, root, record, file, bytes, createdMs, deletedMs } = object;
  const gone = deletedMs === undefined ? '' : `, deleted ${ageWords(deletedMs, nowMs)} ago`;
  return [
    [nameLabel[kind], [plainName(name)]],
    ['handle', [handle]],
    ['root', [`${root.path} (${root.id})`]],
    ['record', [record.path, `${record.state}, made ${ageWords(createdMs, nowMs)} ago${gone}`]],
    ['file', file ? [file.path, `${size(bytes)}, ${fileWords(file)}`] : ['none']],
  ];
}

const nameLabel: Readonly<Record<ObjectFacts['kind'], string>> = {
  volume: 'PersistentVolume',
  snapshot: 'content',
  'golden image': 'name',
  'deleted snapshot': 'snapshot',
  'clone parent': 'cut off',
};

function fileWords({ inode, inodeFound, heldBytes = 0 }: NonNullable<ObjectFacts['file']>): string {
  if (inodeFound === undefined) return 'and it is MISSING';
  const own = `${rounded(heldBytes)} in blocks of its own`;
  return inodeFound === inode
    ? `${own}; inode ${inode}, as recorded`
    : `${own}; inode ${inodeFound}, and the record says ${inode}`;
}

function useRows(object: ObjectFacts, nowMs: number): readonly Row[] {
  const { kind, attachments, marks, options = {}, attributes = {}, barred } = object;
  if (kind !== 'volume') return [];
  const now = { ...options, ...attributes };
  return [
    ['class now', [words(now)]],
    [
      'attached to',
      attachments.map(
        ({ node, sinceMs, state, access, readonly, alive }) =>
          `node ${node} since ${ageWords(sinceMs, nowMs)}, ${state}, ${access}${readonly ? ', read-only' : ''}${alive ? '' : ', whose driver is SILENT'}`,
      ),
    ],
    [
      'marks',
      marks.map(
        ({ node, sinceMs, dead }) =>
          `node ${node} since ${ageWords(sinceMs, nowMs)}${dead ? ', booted since' : ''}`,
      ),
    ],
    ...(barred.length > 0
      ? [['barred', barred.map(({ key, node }) => `${key}, of the silent node ${node}`)] as const]
      : []),
  ];
}

const words = (fields: Readonly<Record<string, unknown>>): string =>
  Object.entries(fields)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .map(([key, value]) => `${key} ${plainName(String(value))}`)
    .join(', ') || 'defaults';

function treeRows({ tree }: ObjectFacts): readonly Row[] {
  if (!tree) return [];
  const { depth, ownBytes, sharedBytes, parents, children, freedBytes, keptBy } = tree;
  return [
    [
      'clone tree',
      [`depth ${depth}, own ${rounded(ownBytes)}, shared at most ${rounded(sharedBytes)}`],
    ],
    ['reads through', parents.map(plainName)],
    ['read by', children.map(plainName)],
    [
      'if deleted',
      keptBy.length > 0
        ? [`nothing is freed now: its file stays for ${keptBy.map(plainName).join(', ')}`]
        : [`${rounded(freedBytes)} are freed`],
    ],
  ];
}

function workRows({ claims, queue }: ObjectFacts, nowMs: number): readonly Row[] {
  return [
    [
      'running',
      claims.map(({ op, node, sinceMs, server, doneBytes, ofBytes }) => {
        const done =
          doneBytes === undefined ? '' : `, ${rounded(doneBytes)} of ${rounded(ofBytes ?? 0)}`;
        return `${op} by node ${node} since ${ageWords(sinceMs, nowMs)}${done}, its server is ${server}`;
      }),
    ],
    [
      'on the queue',
      queue.map(({ state, why, tries }) =>
        why === undefined ? state : `${state} after ${tries ?? 0} tries: ${plainName(why)}`,
      ),
    ],
  ];
}

function historyText({ history }: ObjectFacts, nowMs: number): readonly string[] {
  if (history.length === 0) return [];
  const lines = history
    .slice(-8)
    .reverse()
    .map(
      ({ what, atMs, tookMs, node, outcome, about, why }) =>
        `  ${ageWords(atMs, nowMs).padStart(5)} ago  ${what.padEnd(10)} ${took(tookMs).padStart(7)}  ${outcome}${node === '' ? '' : ` by ${node}`}${about === undefined ? '' : ` (${plainName(about)})`}${why === undefined ? '' : `: ${plainName(why)}`}`,
    );
  return ['last operations', ...lines];
}
