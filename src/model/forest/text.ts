import { roundBytes } from '../bytes.ts';
import type { FileRow, ForestRow } from './view.ts';
import { ageWords, moreWords, notesOf, plainName, styleOf } from './words.ts';

/** How a picture is written. */
export interface TextOptions {
  readonly nowMs: number;
  /** Whether what is dead is grey, and what is pointed at bold. */
  readonly color: boolean;
}

/** The picture as a table, one line a file; the first line names the columns. */
export function* forestText(rows: readonly ForestRow[], options: TextOptions): Generator<string> {
  const lines = rows.map((row) => ({ row, cells: cellsOf(row, options) }));
  // A line for many has no columns, and does not widen them.
  const tables = [heading, ...lines.flatMap(({ row, cells }) => ('node' in row ? [cells] : []))];
  const widths = heading.map((_, n) => Math.min(widest(tables, n), limits[n] ?? Infinity));
  const write = (cells: readonly string[]) =>
    cells
      .map((cell, n) => (right.has(n) ? pad(widths, cell, n) + cell : cell + pad(widths, cell, n)))
      .join('  ')
      .trimEnd();
  yield write(heading);
  for (const { row, cells } of lines) {
    const line = 'node' in row ? write(cells) : cells.join('');
    yield options.color ? colored(row, line) : line;
  }
}

const heading = ['NAME', 'KIND', 'DEPTH', 'SIZE', 'OWN', 'SHARED', 'AGE', 'NODE'];
const right = new Set([2, 3, 4, 5, 6]);
const limits = [72];

// Not Math.max(...): there may be more lines than a function takes arguments.
const widest = (lines: readonly (readonly string[])[], n: number): number =>
  lines.reduce((most, cells) => Math.max(most, length(cells[n] ?? '')), 0);

const length = (text: string): number => Array.from(text).length;

const pad = (widths: readonly number[], cell: string, n: number): string =>
  ' '.repeat(Math.max(0, (widths[n] ?? 0) - length(cell)));

function cellsOf(row: ForestRow, { nowMs }: TextOptions): readonly string[] {
  if ('more' in row) return [`${guide(row)}${moreWords(row.more)}`];
  const { node, account } = row;
  return [
    `${guide(row)}${plainName(node.name)}`,
    node.kind,
    String(account.depth),
    roundBytes(node.bytes),
    node.held === undefined ? '?' : roundBytes(account.own),
    roundBytes(account.shared),
    ageWords(node.createdMs, nowMs),
    [attached(row), ...notesOf(row)].filter((text) => text !== '').join(' '),
  ];
}

const attached = ({ node }: FileRow): string => node.attachedTo.map(plainName).join(' and ');

/** Levels that are drawn; the columns of a chain of hundreds would be out of sight. */
const drawn = 12;

function guide({ follows, above }: ForestRow): string {
  if (above === undefined) return '';
  const levels = follows.slice(1);
  const bars = levels.slice(0, -1).map((more) => (more ? '│  ' : '   '));
  const cut = bars.length > drawn ? `…${' '.repeat(2)}` : '';
  return `${cut}${bars.slice(-drawn).join('')}${levels.at(-1) ? '├─' : '└─'} `;
}

const grey = '\u001b[90m';
const bold = '\u001b[1m';
const off = '\u001b[0m';

function colored(row: ForestRow, line: string): string {
  if ('more' in row) return line;
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
