import { hostname } from 'node:os';
import { findObjects, unknown } from '../service/finder/find.ts';
import type { FoundObject } from '../service/finder/found.ts';
import { readHistory, type FoundHistory, type HistoryQuery } from '../service/history.ts';
import type { RootStore } from '../store/root.ts';
import { readLength } from './command/ago.ts';
import { UsageError } from './command/config.ts';
import { historyLines } from './command/history-lines.ts';
import { readRootFlags, rootHelpLines, rootHost, type OwnFlag } from './command/root-flags.ts';
import type { Subcommand, Terminal } from './command/subcommand.ts';
import { openRoots } from './forest/roots.ts';

const historyFlags = {
  since: { takes: 'value', meaning: 'only what ended within this time: 30s, 90m, 12h, 7d or 4w' },
  last: { takes: 'value', meaning: 'at most so many operations, the latest (default: 1000)' },
  json: { takes: 'nothing', meaning: 'as JSON, with one list of operations for each root' },
} as const satisfies Readonly<Record<string, OwnFlag>>;

export const historyGrammar = { command: 'history', own: historyFlags, words: 2 };

/** `gpfs-csi history`: what the driver did, from the records. */
export const historyCommand: Subcommand = {
  summary: 'show what the driver did to the volumes and snapshots of a root, and when',
  help: [
    'usage: gpfs-csi history [ROOT] [NAMESPACE/CLAIM | ID] [flags]',
    '',
    'Shows the last operations on every volume and snapshot of a root, in the order in which they began, whichever',
    'node did them: each record keeps its last 20. NAMESPACE/CLAIM or ID: only those on this volume or snapshot, by the',
    'name that Kubernetes gave it, its handle, its name or its file. What was deleted stays in the list for a day.',
    'It only reads files. docs/history.md explains the output.',
    '',
    ...rootHelpLines(historyGrammar),
    '',
    'Exit status: 0 shown, 1 the object is unknown or something could not be read, 2 wrong usage.',
  ].join('\n'),
  run: async (argv, terminal) => {
    const line = readRootFlags(historyGrammar, argv, terminal.env, hostname());
    const { flags, words } = line;
    const query = readQuery(flags, words.filter(isName));
    const stores = await openRoots(rootHost(line.config), line.config.roots);
    const { roots, problems } = await readAll(stores, query);
    for (const problem of problems) terminal.err(`gpfs-csi: ${problem}`);
    show(roots, flags.has('json') ? 'json' : 'text', terminal);
    return problems.length > 0 ? 1 : 0;
  },
};

type Query = Omit<HistoryQuery, 'onUnreadable' | 'of'> & { readonly word: string | undefined };

async function readAll(stores: readonly RootStore[], query: Query) {
  const problems: string[] = [];
  const onUnreadable = ({ message }: Error) => problems.push(message);
  const meant = query.word === undefined ? undefined : await objectsCalled(stores, query.word);
  const roots: RootHistory[] = [];
  for (const store of stores) {
    const of = meant?.filter((each) => each.store === store);
    if (of?.length === 0) continue;
    roots.push({ store, found: await readHistory(store, { ...query, of, onUnreadable }) });
  }
  return { roots, problems };
}

/** A path names the root. */
const isName = (word: string): boolean => !word.startsWith('/');

/** The volumes and snapshots that a word names. Throws volume-missing where there is none. */
async function objectsCalled(
  stores: readonly RootStore[],
  word: string,
): Promise<readonly FoundObject[]> {
  const { objects, problems } = await findObjects(stores, word);
  const kept = objects.filter(({ kind }) => kind !== 'clone parent');
  if (kept.length > 0) return kept;
  throw unknown(stores, word, problems);
}

interface RootHistory {
  readonly store: RootStore;
  readonly found: FoundHistory;
}

/** Operations that are shown by default. */
const usualMost = 1000;

function readQuery(flags: ReadonlyMap<string, string>, wanted: readonly string[]): Query {
  const nowMs = Date.now();
  const since = flags.get('since');
  const length = since === undefined ? nowMs : readLength(since);
  const last = flags.get('last') ?? String(usualMost);
  const [word, ...others] = wanted;
  const problems = [
    ...(length === undefined ? ['--since must be a time like 30s, 90m, 12h, 7d or 4w'] : []),
    ...(/^[1-9]\d{0,5}$/.test(last) ? [] : ['--last must be a number from 1 to 999999']),
    ...others.map((other) => `"${other}" is not expected here`),
  ];
  if (problems.length > 0 || length === undefined) throw new UsageError(problems.join('\n'));
  return { sinceMs: nowMs - length, nowMs, most: Number(last), word };
}

function show(roots: readonly RootHistory[], as: 'json' | 'text', { out }: Terminal): void {
  if (as === 'json') out(JSON.stringify({ roots: roots.map(asJson) }, null, 1));
  else out(roots.map(asText).join('\n\n'));
}

const asJson = ({ store, found: { operations, leftOut } }: RootHistory) => ({
  path: store.layout.root,
  id: store.id,
  leftOut,
  operations,
});

function asText({ store, found: { operations, leftOut } }: RootHistory): string {
  const earlier = leftOut > 0 ? `; ${leftOut} began earlier, and --last shows more` : '';
  const summary = `root ${store.layout.root} (${store.id}): ${operations.length} operations${earlier}`;
  return [summary, ...(operations.length > 0 ? historyLines(operations) : [])].join('\n');
}
