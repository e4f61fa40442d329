import { DriverError } from '../model/fault.ts';
import { phraseVerdict, unreadable } from './failures.ts';

/** One row of a `-Y` table: values by column name in lower case. A column that the row lacks is absent. */
export type TableRow = ReadonlyMap<string, string>;

/**
 * Reads the `-Y` output of a command: rows of every section whose HEADER has all of these columns.
 * No rows below such a HEADER are a valid answer; no such HEADER is a failure, whatever the exit status was.
 */
export function parseTable(
  command: string,
  output: string,
  columns: readonly string[],
): readonly TableRow[] {
  const wanted = columns.map((column) => column.toLowerCase());
  const headers = new Map<string, readonly string[]>();
  const rows: TableRow[] = [];
  let answered = false;
  for (const line of lines(command, output)) {
    const [, section = '', mark, ...cells] = line.split(':');
    if (mark === 'HEADER') {
      const names = cells.map((name) => name.toLowerCase());
      headers.set(section, names);
      answered ||= wanted.every((column) => names.includes(column));
    } else {
      const names = headers.get(section) ?? [];
      if (wanted.every((column) => names.includes(column))) rows.push(toRow(names, cells));
    }
  }
  if (!answered) throw noHeader(command, output);
  return rows;
}

/** A cell of a row that must be there and filled. */
export function cell(command: string, row: TableRow, column: string): string {
  const value = row.get(column.toLowerCase());
  if (value === undefined || value === '') throw unreadable(command, `no ${column} in a row`);
  return value;
}

/** A value, or undefined where GPFS writes a dash or nothing for "none". */
export const present = (value: string | undefined): string | undefined =>
  value === undefined || value === '' || value === '-' || value === '--' ? undefined : value;

/**
 * Lines of the table itself. Anything else is noise (`*** Report for …`). Some builds glue two rows
 * together; a colon inside a value is always encoded, so the start of a row is plain to see.
 */
function lines(command: string, output: string): readonly string[] {
  const start = `${command}:[^:\\n]*:(?:HEADER|0):`;
  return output
    .split(new RegExp(`\\r?\\n|(?=${start}(?:version|1):)`, 'g'))
    .filter((line) => new RegExp(`^${start}`).test(line));
}

function toRow(names: readonly string[], cells: readonly string[]): TableRow {
  const row = new Map<string, string>();
  names.forEach((name, n) => {
    const value = cells[n];
    // `reserved` comes twice and means nothing; of a real column the first counts.
    if (name !== '' && value !== undefined && !row.has(name)) row.set(name, decode(value));
  });
  return row;
}

const decode = (value: string): string =>
  value.replaceAll(/(?:%[0-9a-f]{2})+/gi, (bytes) =>
    Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8'),
  );

function noHeader(command: string, output: string): DriverError {
  const known = phraseVerdict(output);
  if (known === undefined) return unreadable(command, output);
  const [kind, reason] = known;
  return new DriverError(kind, `${command} failed: ${reason}`, new Error(output.slice(0, 1000)));
}
