import { roundBytes } from '../bytes.ts';
import type { FileRow, ForestRow } from './view.ts';
import { moreWords, notesOf, plainName, styleOf } from './words.ts';

/** A picture for Mermaid, of all roots together. */
export function* forestMermaid(rows: readonly ForestRow[]): Generator<string> {
  yield 'flowchart TD';
  for (const { id, above, row } of numbered(rows)) {
    const text = wordsOf(row).map(mermaidText).join('<br/>');
    yield `  ${id}["${text}"]${'node' in row ? `:::${styleOf(row)}` : ':::more'}`;
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
    if ('node' in row) ids.set(row.node.key, id);
    yield { id, row, above: row.above === undefined ? undefined : ids.get(row.above) };
  }
}

function wordsOf(row: ForestRow): readonly string[] {
  if ('more' in row) return [moreWords(row.more)];
  const { node, account } = row;
  const on = node.attachedTo.length > 0 ? `, on ${node.attachedTo.join(' and ')}` : '';
  return [
    plainName(node.name),
    `${node.kind}, ${roundBytes(node.bytes)}${on}`,
    `own ${roundBytes(account.own)}, shared ${roundBytes(account.shared)}`,
    ...notesOf({ ...row, marked: false }),
  ].map(plainName);
}

const mermaidText = (text: string): string =>
  text.replace(/[&"<>#`]/g, (character) => `#${character.codePointAt(0) ?? 0};`);

const dotText = (text: string): string => text.replace(/["\\]/g, (character) => `\\${character}`);

const dotStyle = (row: ForestRow): string =>
  'more' in row ? ' style=dashed' : styles[styleOf(row)];

const styles: Readonly<Record<ReturnType<typeof styleOf>, string>> = {
  plain: '',
  dead: ' color=gray fontcolor=gray50',
  marked: ' penwidth=3',
};

/** One file for programs. Sizes are numbers of bytes. */
export const fileJson = ({ node, account, marked, flaw }: FileRow) => ({
  key: node.key,
  kind: node.kind,
  ...(node.id === undefined ? {} : { id: node.id }),
  name: node.name,
  parent: node.parent,
  depth: account.depth,
  bytes: Number(node.bytes),
  ...(node.held === undefined ? { missing: true } : { ownBytes: Number(account.own) }),
  sharedBytes: Number(account.shared),
  createdMs: node.createdMs,
  attachedTo: node.attachedTo,
  ...(node.leaving ? { beingDeleted: true } : {}),
  ...(marked ? { marked: true } : {}),
  ...(flaw === undefined ? {} : { flaw }),
});
