/** Rows as lines with columns, two spaces between them; the last column is as wide as it is. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, n) =>
    rows.reduce((most, row) => Math.max(most, length(row[n] ?? '')), 0),
  );
  return rows.map((row) =>
    row
      .map((cell, n) => cell + ' '.repeat(Math.max(0, (widths[n] ?? 0) - length(cell))))
      .join('  ')
      .trimEnd(),
  );
}

/** The same below a line that they belong to. */
export const indentedColumns = (rows: readonly (readonly string[])[]): readonly string[] =>
  columns(rows).map((line) => `  ${line}`);

const length = (text: string): number => Array.from(text).length;
