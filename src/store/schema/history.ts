import { z } from 'zod';
import { timeMs } from './data.ts';

/** Entries that a record keeps: the last ones. */
export const mostEntries = 20;

/** Characters of a reason that an entry keeps. */
export const longestWhy = 300;

const word = z.string().max(32);
const name = z.string().max(256);

/**
 * One operation that ended, or that its server gave up. `what` and `outcome` are words, and not a list, so that a word of a
 * later version makes no record unreadable.
 */
const historyEntry = z.looseObject({
  /** What was done: `create`, `expand`, `attach` … */
  what: word,
  /** When it began, as far as the record knew. */
  atMs: timeMs,
  /** How long it took; 0 where only its end is known. */
  tookMs: timeMs,
  /** The node whose server did it; empty where a command did it that makes no claim. */
  node: name,
  /** `done`, `undone`, `failed`, `released` or `taken over`. */
  outcome: word,
  /** What it was about: the node of an attachment, the snapshot that was taken, the size that was reached. */
  about: name.optional(),
  /** Why it did not succeed, without secrets. */
  why: z.string().max(longestWhy).optional(),
});
export type HistoryEntry = z.output<typeof historyEntry>;

/** The last operations, oldest first: for people, and never compared. A damaged one is left out, the record stays. */
export const history = z.array(historyEntry).max(mostEntries).optional().catch(undefined);
