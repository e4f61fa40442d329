import { roundBytes, showBytes } from '../bytes.ts';

/** A label, and what stands beside it; nothing is written as `-`. */
export type Row = readonly [label: string, lines: readonly string[]];

const labelWidth = 18;

/** Rows as lines: the label once, the other lines below the first. */
export const table = (rows: readonly Row[]): readonly string[] =>
  rows.flatMap(([label, lines]) =>
    (lines.length > 0 ? lines : ['-']).map(
      (line, n) => `  ${(n === 0 ? label : '').padEnd(labelWidth)}${line}`,
    ),
  );

/** A heading and its sentences; nothing where there are none. */
export const bulleted = (heading: string, sentences: readonly string[]): readonly string[] =>
  sentences.length > 0 ? [heading, ...sentences.map((each) => `  - ${each}`)] : [];

/** `10 GiB`. */
export const size = (bytes: number): string => showBytes(BigInt(bytes));

/** `1.2 GiB`. */
export const rounded = (bytes: number): string => roundBytes(BigInt(bytes));

/** `850 ms`, `12 s`, `5 min`. */
export function took(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  const seconds = ms / 1000;
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
}
