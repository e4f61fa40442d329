import type { Timing } from './measure.ts';
import type { Cost, Figure, Found } from './part.ts';

/** What a part found, as tables for people. */
export const tables = (found: Found): string =>
  [timingTable(found.timings ?? []), costTable(found.costs ?? []), figureTable(found.figures ?? [])]
    .filter((rows) => rows.length > 1)
    .map(aligned)
    .join('\n\n');

type Row = readonly string[];

const timingTable = (timings: readonly Timing[]): readonly Row[] => [
  ['call', 'callers', 'n', 'p50 ms', 'p99 ms', 'per second'],
  ...timings.map(({ what, callers, n, p50, p99, perSecond }) => [
    what,
    String(callers),
    String(n),
    short(p50),
    short(p99),
    short(perSecond),
  ]),
];

const costTable = (costs: readonly Cost[]): readonly Row[] => [
  ['call', 'mm', 'other', 'processes'],
  ...costs.map(({ what, mm, others }) => [
    what,
    String(mm.length),
    String(others.length),
    [...mm, ...others].join(', '),
  ]),
];

const figureTable = (figures: readonly Figure[]): readonly Row[] => [
  ['figure', 'value', '', 'goal'],
  ...figures.map((figure) => [figure.what, short(figure.value), figure.unit, goalOf(figure)]),
];

function goalOf({ value, below, above }: Figure): string {
  if (below !== undefined) return `below ${below}: ${value < below ? 'met' : 'MISSED'}`;
  if (above !== undefined) return `at least ${above}: ${value >= above ? 'met' : 'MISSED'}`;
  return '';
}

const short = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);

const isNumber = (cell: string): boolean => /^[\d.]+$/.test(cell);

function aligned(rows: readonly Row[]): string {
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? '').length)),
  );
  const numeric = widths.map((_, i) => rows.slice(1).every((row) => isNumber(row[i] ?? '')));
  return rows
    .map((row) =>
      row
        .map((cell, i) =>
          numeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
