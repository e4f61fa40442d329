import { isDead, type RootAccounts } from './accounts.ts';
import { counted, roundBytes } from '../bytes.ts';
import type { FileKind } from './forest.ts';
import { titleOf } from './names.ts';
import type { Bulk } from './shapes.ts';
import type { ChainRow, FileRow } from './view.ts';

const kinds = ['volume', 'snapshot', 'tombstone', 'hidden parent'] as const;

/** `4,997 volumes and 1 snapshot`. */
function countFiles(files: Readonly<Record<FileKind, number>>): string {
  const parts = kinds.filter((kind) => files[kind] > 0).map((kind) => counted(files[kind], kind));
  const last = parts.pop();
  if (last === undefined) return 'no files';
  return parts.length > 0 ? `${parts.join(', ')} and ${last}` : last;
}

/** What a line says that stands for many files. */
export function moreWords({ trees, files, own }: Bulk): string {
  const only = kinds.find((kind) => files[kind] === trees);
  const total = kinds.reduce((sum, kind) => sum + files[kind], 0);
  const alike = only !== undefined && total === trees;
  const what = counted(trees, alike ? `more ${only}` : 'more tree');
  const inside = alike ? '' : ` like these (${countFiles(files)})`;
  return `… ${what}${inside}, ${roundBytes(own)} of their own`;
}

/** What a line says that stands for a chain of dead files. */
export function chainWords({ chain }: ChainRow): string {
  const hidden = chain.filter(({ kind }) => kind === 'hidden parent').length;
  const tombstones = chain.length - hidden;
  const titles = new Set(chain.map(titleOf));
  const [only] = titles;
  const of = titles.size === 1 && only !== undefined ? ` ${plainName(only)}` : '';
  const parts = [
    ...(tombstones > 0 ? [counted(tombstones, 'tombstone')] : []),
    ...(hidden > 0 ? [counted(hidden, 'hidden parent')] : []),
  ];
  return `${parts.join(' and ')} in a row${of}`;
}

/** One line about a root. */
export function rootWords(path: string, id: string, accounts: RootAccounts): string {
  const { files, live, dead, deepest, empty, trees, logical } = accounts;
  const levels = empty > 0 ? `, ${counted(empty, 'empty parent')}` : '';
  return [
    `${path} (root ${id}): ${countFiles(files)} in ${counted(trees, 'tree')}`,
    `volumes of ${roundBytes(logical)}, ${roundBytes(live)} live, ${roundBytes(dead)} dead, deepest ${deepest}${levels}`,
  ].join('; ');
}

/** What a line says of a file beyond its columns. */
export const notesOf = ({ node, flaw, marked }: FileRow): readonly string[] => [
  ...(marked ? ['◀'] : []),
  ...(node.held === undefined ? ['(its file is missing)'] : []),
  ...(node.leaving ? ['(being deleted)'] : []),
  ...(flaw === 'unknown parent' ? [`(its parent ${node.parent ?? ''} is unknown)`] : []),
  ...(flaw === 'circle' ? [`(a circle: its parent ${node.parent ?? ''} is below it)`] : []),
];

/** How a file is drawn. */
export const styleOf = ({ node, marked }: FileRow): 'marked' | 'dead' | 'plain' =>
  marked ? 'marked' : isDead(node) ? 'dead' : 'plain';

/** A name as one line of a terminal can show it: what would move the cursor, or turn the text, is written out. */
export const plainName = (name: string): string =>
  name.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );

/** How long ago, in one unit: 40s, 12m, 5h, 3d, 2y. */
export function ageWords(sinceMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - sinceMs) / 1000));
  const units = [
    ['y', 365 * 86_400],
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
  ] as const;
  // Like kubectl: 119 minutes say more than one hour does.
  const fit = units.find(([, length]) => seconds >= 2 * length);
  return fit ? `${Math.floor(seconds / fit[1])}${fit[0]}` : `${seconds}s`;
}

/** The work queue of a root: items announced, and those put off, by reason, most frequent first. */
export interface QueueState {
  readonly ready: number;
  readonly waiting: readonly { readonly why: string; readonly count: number }[];
}

/** More reasons than this are summed up. */
const shownReasons = 5;

/** The queue in words, one line for what is due and one for each reason to wait; none when it is empty. */
export function queueWords({ ready, waiting }: QueueState): readonly string[] {
  const rest = waiting.slice(shownReasons).reduce((sum, { count }) => sum + count, 0);
  return [
    ...(ready > 0 ? [`on the queue: ${ready} to look at`] : []),
    ...waiting
      .slice(0, shownReasons)
      .map(({ why, count }) => `on the queue: ${count} put off: ${why}`),
    ...(rest > 0 ? [`on the queue: ${rest} put off for other reasons`] : []),
  ];
}
