import { roundBytes, type Bytes } from '../bytes.ts';
import { shortId, titleOf } from './names.ts';
import type { ChainRow, FileRow, ForestRow, MoreRow } from './view.ts';
import { ageWords, chainWords, moreWords, notesOf, plainName, styleOf } from './words.ts';

/** How a picture is written. */
export interface TextOptions {
  readonly nowMs: number;
  /** Whether what is dead is grey, and what is pointed at bold. */
  readonly color: boolean;
  /** By key, what deleting a file alone would free; undefined: without this column. */
  readonly frees?: ReadonlyMap<string, Bytes> | undefined;
}

interface Column {
  readonly heading: string;
  /** Numbers stand at the right of their column. */
  readonly right?: true;
  readonly cell: (row: FileRow | ChainRow) => string;
}

/** The picture as a table, one line a file; the first line names the columns. */
export function* forestText(rows: readonly ForestRow[], options: TextOptions): Generator<string> {
  const columns = columnsOf(rows, options);
  const headings = columns.map(({ heading }) => heading);
  const lines = rows.map((row) => ({
    row,
    cells: 'more' in row ? undefined : columns.map(({ cell }) => cell(row)),
  }));
  // A line for many has no columns, and does not widen them.
  const tables = [headings, ...lines.flatMap(({ cells }) => (cells ? [cells] : []))];
  const widths = headings.map((_, n) => Math.min(widest(tables, n), n === 0 ? longestName : 99));
  const write = (cells: readonly string[]) =>
    cells
      .map((cell, n) => {
        const room = ' '.repeat(Math.max(0, (widths[n] ?? 0) - length(cell)));
        return columns[n]?.right ? room + cell : cell + room;
      })
      .join('  ')
      .trimEnd();
  yield write(headings);
  for (const { row, cells } of lines) {
    const line = cells ? write(cells) : `${guide(row)}${moreWords((row as MoreRow).more)}`;
    yield options.color ? colored(row, line) : line;
  }
}

/** The first column is at most so wide; longer names push the others aside in their own line only. */
const longestName = 72;

// Not Math.max(...): there may be more lines than a function takes arguments.
const widest = (lines: readonly (readonly string[])[], n: number): number =>
  lines.reduce((most, cells) => Math.max(most, length(cells[n] ?? '')), 0);

const length = (text: string): number => Array.from(text).length;

function columnsOf(rows: readonly ForestRow[], { nowMs, frees }: TextOptions): readonly Column[] {
  const ofFile = (cell: (row: FileRow) => string) => (row: FileRow | ChainRow) =>
    'node' in row ? cell(row) : '';
  const hasIds = rows.some((row) => 'node' in row && idOf(row) !== '');
  const shownFrees = ofFile(({ node }) => {
    const bytes = frees?.get(node.key);
    return bytes === undefined ? '' : roundBytes(bytes);
  });
  return [
    { heading: 'NAME', cell: (row) => `${guide(row)}${nameOf(row)}` },
    ...(hasIds ? [{ heading: 'ID', cell: ofFile(idOf) }] : []),
    { heading: 'KIND', cell: kindOf },
    { heading: 'DEPTH', right: true, cell: depthOf },
    { heading: 'SIZE', right: true, cell: ofFile(({ node }) => roundBytes(node.bytes)) },
    { heading: 'OWN', right: true, cell: ownOf },
    { heading: 'SHARED', right: true, cell: ofFile(({ account }) => roundBytes(account.shared)) },
    ...(frees ? [{ heading: 'FREES', right: true as const, cell: shownFrees }] : []),
    { heading: 'AGE', right: true, cell: ofFile(({ node }) => ageWords(node.createdMs, nowMs)) },
    { heading: 'NODE', cell: ofFile(nodeWords) },
  ];
}

const nameOf = (row: FileRow | ChainRow): string =>
  'node' in row ? plainName(titleOf(row.node)) : `⋮ ${chainWords(row)}`;

/** Beside the name of a claim; a name that is an id by itself needs none. */
const idOf = ({ node }: FileRow): string => (node.kubernetes === undefined ? '' : shortId(node));

const kindOf = (row: FileRow | ChainRow): string => {
  if ('node' in row) return row.node.golden === true ? 'golden image' : row.node.kind;
  return row.chain.every(({ kind }) => kind === 'tombstone') ? 'tombstones' : 'dead';
};

const depthOf = (row: FileRow | ChainRow): string =>
  'node' in row ? String(row.account.depth) : `${row.depth}–${row.depth + row.chain.length - 1}`;

const ownOf = (row: FileRow | ChainRow): string => {
  if ('chain' in row) return roundBytes(row.own);
  return row.node.held === undefined ? '?' : roundBytes(row.account.own);
};

const nodeWords = (row: FileRow): string =>
  [row.node.attachedTo.map(plainName).join(' and '), ...notesOf(row)]
    .filter((text) => text !== '')
    .join(' ');

/** Levels that are drawn; the columns of a forest that branches hundreds of times would be out of sight. */
const drawn = 12;

function guide({ follows, above, down }: ForestRow): string {
  if (above === undefined) return '';
  const levels = follows.slice(1);
  const bars = levels.slice(0, -1).map((more) => (more ? '│  ' : '   '));
  const cut = bars.length > drawn ? `…${' '.repeat(2)}` : '';
  const mark = down ? ' ↓ ' : levels.at(-1) ? '├─ ' : '└─ ';
  return `${cut}${bars.slice(-drawn).join('')}${mark}`;
}

const grey = '\u001b[90m';
const bold = '\u001b[1m';
const off = '\u001b[0m';

function colored(row: ForestRow, line: string): string {
  if ('more' in row) return line;
  if ('chain' in row) return `${grey}${line}${off}`;
  const style = styleOf(row);
  switch (style) {
    case 'plain':
      return line;
    case 'dead':
      return `${grey}${line}${off}`;
    case 'marked':
      return `${bold}${line}${off}`;
  }
}
