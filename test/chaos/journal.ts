import { openSync, closeSync, writeSync } from 'node:fs';

/** Counts of what happened, by what it was and how it ended. */
export type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** What a run did, in order, one JSON object a line, and the counts of it. */
export interface Journal {
  /** Adds a line; what is a bigint is written as text. */
  readonly note: (what: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly count: (group: string, name: string, by?: number) => void;
  readonly counts: () => Counts;
  readonly close: () => void;
}

const asText = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? String(value) : value;

/** Writes each line at once, so that a run that is killed has them all. */
export function journalIn(path: string): Journal {
  const file = openSync(path, 'a');
  const start = performance.now();
  const counted = new Map<string, Map<string, number>>();
  return {
    note: (what, fields = {}) => {
      const ms = Math.round(performance.now() - start);
      writeSync(file, `${JSON.stringify({ ms, what, ...fields }, asText)}\n`);
    },
    count: (group, name, by = 1) => {
      const names = counted.get(group) ?? new Map<string, number>();
      counted.set(group, names.set(name, (names.get(name) ?? 0) + by));
    },
    counts: () =>
      Object.fromEntries(
        [...counted].map(([group, names]) => [group, Object.fromEntries([...names].sort())]),
      ),
    close: () => {
      closeSync(file);
    },
  };
}

/** The counts as lines that people read. */
export const countLines = (counts: Counts): readonly string[] =>
  Object.entries(counts).map(([group, names]) => {
    const all = Object.entries(names);
    const sum = all.reduce((total, [, count]) => total + count, 0);
    return `${group}: ${sum} (${all.map(([name, count]) => `${name} ${count}`).join(', ')})`;
  });
