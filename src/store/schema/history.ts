import { z } from 'zod';

/** Entries that a record keeps: the last ones. */
export const mostEntries = 20;

/** Characters of a reason that an entry keeps. */
export const longestWhy = 300;

const longestWord = 32;
const longestName = 256;

/**
 * One operation that ended, or that its server gave up. `what` and `outcome` are words, and not of a list, so that a word
 * of a later version makes no record unreadable. Fields of a later version are kept.
 */
export interface HistoryEntry {
  /** What was done: `create`, `expand`, `attach` … */
  readonly what: string;
  /** When it began, as far as the record knew. */
  readonly atMs: number;
  /** How long it took, in ms; 0 where only its end is known. */
  readonly tookMs: number;
  /** The node whose server did it; empty where a command did it that makes no claim. */
  readonly node: string;
  /** `done`, `undone`, `failed`, `released` or `taken over`. */
  readonly outcome: string;
  /** What it was about: the node of an attachment, the snapshot that was taken, the size that was reached. */
  readonly about?: string;
  /** Why it did not succeed, without secrets. */
  readonly why?: string;
}

const isText = (value: unknown, most: number): value is string =>
  typeof value === 'string' && value.length <= most;

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value <= 8.64e15;

const isTextOrNone = (value: unknown, most: number): boolean =>
  value === undefined || isText(value, most);

function isEntry(value: unknown): value is HistoryEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { what, atMs, tookMs, node, outcome, about, why }: Partial<Record<string, unknown>> = {
    ...value,
  };
  return (
    [what, outcome].every((word) => isText(word, longestWord)) &&
    [atMs, tookMs].every(isTime) &&
    isText(node, longestName) &&
    isTextOrNone(about, longestName) &&
    isTextOrNone(why, longestWhy)
  );
}

const isHistory = (value: unknown): value is readonly HistoryEntry[] =>
  Array.isArray(value) && value.length <= mostEntries && value.every(isEntry);

/**
 * The last operations, oldest first: for people, and never compared. A damaged one is left out, the record stays.
 * Checked by hand: lists read every record, and a schema for twenty entries would double what that costs.
 */
export const history = z
  .unknown()
  .transform((value) => (isHistory(value) ? value : undefined))
  .optional();
