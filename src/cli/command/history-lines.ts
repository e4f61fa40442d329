import { columns } from '../../model/forest/columns.ts';
import { plainName } from '../../model/forest/words.ts';
import { nameShown } from '../../model/kubernetes.ts';
import type { Operation } from '../../service/history.ts';
import type { HistoryEntry } from '../../store/schema/history.ts';
import { showLength } from './ago.ts';

/** When, how long, and what, of one entry: the columns that all entries have. */
const entryCells = (entry: HistoryEntry): readonly string[] => [
  momentOf(entry.atMs),
  entry.tookMs === 0 ? '' : showLength(entry.tookMs),
  [entry.what, entry.about ?? ''].join(' ').trim(),
  entry.node,
  entry.why === undefined ? entry.outcome : `${entry.outcome}: ${entry.why}`,
];

/** Operations as a table, one line each; the first line names the columns. */
export function historyLines(operations: readonly Operation[]): readonly string[] {
  return columns([heading, ...operations.map(cellsOf)].map((row) => row.map(plainName)));
}

const heading = ['BEGAN', 'TOOK', 'WHAT', 'NODE', 'OBJECT', 'OUTCOME'];

function cellsOf(operation: Operation): readonly string[] {
  const cells = entryCells(operation);
  return [...cells.slice(0, 4), objectOf(operation), ...cells.slice(4)];
}

const objectOf = (operation: Operation): string => `${operation.kind} ${nameShown(operation)}`;

/** In the time of UTC, to the second: servers of one root may have several time zones. */
function momentOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
