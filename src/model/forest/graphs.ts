import { roundBytes, type Bytes } from '../bytes.ts';
import type { FileRow, ForestRow } from './view.ts';
import { namedBy } from '../kubernetes.ts';
import { titleOf } from './names.ts';
import { chainWords, moreWords, notesOf, plainName, styleOf } from './words.ts';

/** A picture for Mermaid, of all roots together. */
export function* forestMermaid(rows: readonly ForestRow[]): Generator<string> {
  yield 'flowchart TD';
  for (const { id, above, row } of numbered(rows)) {
    const text = wordsOf(row).map(mermaidText).join('<br/>');
    yield `  ${id}["${text}"]${':::' + classOf(row)}`;
    if (above !== undefined) yield `  ${above} --> ${id}`;
  }
  yield '  classDef dead fill:#eee,stroke:#999,color:#777';
  yield '  classDef marked stroke-width:4px';
  yield '  classDef more stroke-dasharray:4';
}

/** A picture for Graphviz, of all roots together. */
export function* forestDot(rows: readonly ForestRow[]): Generator<string> {
  yield 'digraph forest {';
  yield '  node [shape=box fontname="sans-serif"];';
  for (const { id, above, row } of numbered(rows)) {
    const text = wordsOf(row).map(dotText).join('\\n');
    yield `  ${id} [label="${text}"${dotStyle(row)}];`;
    if (above !== undefined) yield `  ${above} -> ${id};`;
  }
  yield '}';
}

interface Numbered {
  readonly id: string;
  readonly above: string | undefined;
  readonly row: ForestRow;
}

// Keys could be words of the language that is written here.
function* numbered(rows: readonly ForestRow[]): Generator<Numbered> {
  const ids = new Map<string, string>();
  let count = 0;
  for (const row of rows) {
    const id = `n${count}`;
    count += 1;
    for (const key of keysOf(row)) ids.set(key, id);
    yield { id, row, above: row.above === undefined ? undefined : ids.get(row.above) };
  }
}

/** Keys of the files that a row stands for, as far as others may hang on them. */
const keysOf = (row: ForestRow): readonly string[] =>
  'node' in row ? [row.node.key] : 'chain' in row ? row.chain.map(({ key }) => key) : [];

const classOf = (row: ForestRow): string =>
  'node' in row ? styleOf(row) : 'chain' in row ? 'dead' : 'more';

function wordsOf(row: ForestRow): readonly string[] {
  if ('more' in row) return [moreWords(row.more)];
  if ('chain' in row) return [chainWords(row), `own ${roundBytes(row.own)}`];
  const { node, account } = row;
  const on = node.attachedTo.length > 0 ? `, on ${node.attachedTo.join(' and ')}` : '';
  return [
    titleOf(node),
    `${node.kind}, ${roundBytes(node.bytes)}${on}`,
    `own ${roundBytes(account.own)}, shared ${roundBytes(account.shared)}`,
    ...notesOf({ ...row, marked: false }),
  ].map(plainName);
}

const mermaidText = (text: string): string =>
  text.replace(/[&"<>#`]/g, (character) => `#${character.codePointAt(0) ?? 0};`);

const dotText = (text: string): string => text.replace(/["\\]/g, (character) => `\\${character}`);

const dotStyle = (row: ForestRow): string => styles[classOf(row)] ?? '';

const styles: Readonly<Record<string, string>> = {
  more: ' style=dashed',
  plain: '',
  dead: ' color=gray fontcolor=gray50',
  marked: ' penwidth=3',
};

/** One file for programs. Sizes are numbers of bytes. */
export const fileJson = (
  { node, account, marked, flaw }: FileRow,
  frees?: ReadonlyMap<string, Bytes>,
) => ({
  key: node.key,
  kind: node.kind,
  ...(node.id === undefined ? {} : { id: node.id }),
  name: node.name,
  ...namedBy(node.kubernetes),
  ...(node.golden === true ? { golden: true } : {}),
  parent: node.parent,
  depth: account.depth,
  bytes: Number(node.bytes),
  ...(node.held === undefined ? { missing: true } : { ownBytes: Number(account.own) }),
  sharedBytes: Number(account.shared),
  ...freesJson(frees?.get(node.key)),
  createdMs: node.createdMs,
  attachedTo: node.attachedTo,
  ...(node.leaving ? { beingDeleted: true } : {}),
  ...(marked ? { marked: true } : {}),
  ...flawJson(flaw),
});

const flawJson = (flaw: FileRow['flaw']) => (flaw === undefined ? {} : { flaw });

const freesJson = (bytes: Bytes | undefined) =>
  bytes === undefined ? {} : { freesBytes: Number(bytes) };
