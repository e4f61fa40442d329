import { createHash } from 'node:crypto';
import { sumUp, type Countable, type RootAccounts } from '../../model/forest/accounts.ts';
import type { ForestNode } from '../../model/forest/forest.ts';
import type { Space } from '../../run/files.ts';
import type { RootStore } from '../../store/root.ts';
import { readForest } from './forest.ts';
import type { ServiceHost } from '../host.ts';
import { inGroups } from '../pages.ts';
import { inEachRoot } from '../roots/roots.ts';

/** The accounts of a root, as of its last count. */
export interface RootReport {
  readonly path: string;
  readonly accounts: RootAccounts;
  readonly space: Space;
  /** Records that cannot be read, which are missing in the accounts. */
  readonly unreadable: number;
}

/** Counts the roots from time to time, and keeps the results. */
export interface AccountKeeper {
  /** Counts the roots that are due; resolves to the number of files that it read. No command is run. */
  refresh(signal: AbortSignal): Promise<number>;
  /** Roots that this server counts; those that another server counts are missing. */
  latest(): readonly RootReport[];
}

/** How long a count is valid at least; longer after one that took long. */
export const standsMs = 5 * 60_000;
const pauseFactor = 20;

/** How long a count is valid while no record changes. Writes of pods change none, so there is a limit. */
const standsUnchangedMs = 3_600_000;

/** Files read at once: few, as requests come first at the threads that wait for the file system. */
const atOnce = 4;

interface Counted {
  readonly report: RootReport;
  /** A digest of the names of all records. */
  readonly print: string;
  /** Whether bytes can have changed though the records did not. */
  readonly written: boolean;
  readonly countedMs: number;
  /** When the root is counted again. */
  readonly dueMs: number;
  /** Files that were read for it. */
  readonly files: number;
}

/** Keeps the accounts of one server. Of all servers of a root, only the first one that is alive counts it. */
export function accountKeeper(host: Pick<ServiceHost, 'roots' | 'self' | 'clock'>): AccountKeeper {
  const known = new Map<string, Counted>();
  const due = new Map<string, number>();
  const isOurs = async (store: RootStore): Promise<boolean> =>
    (await store.nodes.living()).find((node) => !node.startsWith('command-')) === host.self.node;
  const refreshRoot = async (store: RootStore, signal: AbortSignal): Promise<number> => {
    const { root } = store.layout;
    const nowMs = host.clock.now();
    if ((due.get(root) ?? 0) > nowMs) return 0;
    if (!(await isOurs(store))) {
      known.delete(root);
      due.set(root, nowMs + standsMs);
      return 0;
    }
    const counted = await count(host, store, known.get(root), signal);
    known.set(root, counted);
    due.set(root, counted.dueMs);
    return counted.files;
  };
  return {
    refresh: async (signal) => {
      let files = 0;
      await inEachRoot(host, async (store) => {
        files += await refreshRoot(store, signal);
      });
      return files;
    },
    latest: () => [...known.values()].map(({ report }) => report),
  };
}

async function count(
  host: Pick<ServiceHost, 'clock'>,
  store: RootStore,
  before: Counted | undefined,
  signal: AbortSignal,
): Promise<Counted> {
  const { clock } = host;
  const startedMs = clock.now();
  const { root: path } = store.layout;
  const space = await store.files.space(path);
  const print = await printOf(store, signal);
  if (before?.print === print && !isStale(before, startedMs))
    return {
      ...before,
      report: { ...before.report, space },
      dueMs: startedMs + standsMs,
      files: 0,
    };
  let written = false;
  const keep = (file: ForestNode): Countable => {
    written ||= file.attachedTo.length > 0;
    const { key, parent, kind, bytes, held } = file;
    return { key, parent, kind, bytes, held };
  };
  let unreadable = 0;
  const onUnreadable = (error: Error) => {
    unreadable += 1;
    store.bad.note(error);
  };
  const files = await readForest(store, keep, { atOnce, signal, onUnreadable });
  const endedMs = clock.now();
  const dueMs = endedMs + Math.max(standsMs, pauseFactor * (endedMs - startedMs));
  const report = { path, space, unreadable, accounts: sumUp(files) };
  return { report, print, written, countedMs: startedMs, dueMs, files: files.length };
}

const isStale = ({ written, countedMs, report }: Counted, nowMs: number): boolean =>
  // A damaged record may be replaced under the name that it has.
  report.unreadable > 0 || (written && nowMs - countedMs >= standsUnchangedMs);

/** Differs after a record was made, changed or removed: each version of a record has a name of its own. */
async function printOf(store: RootStore, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for (const records of [store.volumes, store.snapshots, store.hidden])
    for (const shards of inGroups(await records.shards(), atOnce)) {
      signal.throwIfAborted();
      const listed = await Promise.all(shards.map((shard) => records.ids(shard)));
      for (const ids of listed) for (const [id, version] of ids) hash.update(`${id}.${version}\n`);
    }
  return hash.digest('hex');
}
