import { createHash } from 'node:crypto';
import { sumUp, type RootAccounts } from '../../model/forest/accounts.ts';
import { flawKinds, flawsOf } from '../../model/forest/flaws.ts';
import type { ForestNode } from '../../model/forest/forest.ts';
import type { Space } from '../../run/files.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import { readForest } from './forest.ts';
import { lookAside, type Quarantine, type QuarantineLook } from './quarantine.ts';
import { begunOf, figuresOf, keepOf, type Begun, type Kept, type VolumeFigures } from './tally.ts';
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
  /** Flaws that two counts in a row have found, by kind. */
  readonly flaws: ReadonlyMap<string, number>;
  /** Operations that had begun and not ended. */
  readonly begun: readonly Begun[];
  readonly quarantine: Quarantine;
  /** Volumes that hold the most, as many as are wanted. */
  readonly volumes: readonly VolumeFigures[];
}

/** Counts the roots from time to time, and keeps the results. */
export interface AccountKeeper {
  /**
   * Counts the roots that are due; resolves to the number of files that it read. No command is run, unless files lie
   * in the quarantine.
   */
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
  /** Flaws, each as `KIND KEY`: one that is new may be an operation that is under way. */
  readonly seen: ReadonlySet<string>;
  readonly quarantine: QuarantineLook;
  /** When the root is counted again. */
  readonly dueMs: number;
  /** Files that were read for it. */
  readonly files: number;
}

/**
 * Keeps the accounts of one server. Of all servers of a root, only the first one that is alive counts it. Figures are
 * kept of `perVolume` volumes of each root.
 */
export function accountKeeper(
  host: CountHost & Pick<ServiceHost, 'roots' | 'self'>,
  perVolume = 0,
): AccountKeeper {
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
    const counted = await count({ host, perVolume }, store, known.get(root), signal);
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

type CountHost = Pick<ServiceHost, 'clock' | 'commands' | 'log'>;

async function count(
  { host, perVolume }: { readonly host: CountHost; readonly perVolume: number },
  store: RootStore,
  before: Counted | undefined,
  signal: AbortSignal,
): Promise<Counted> {
  const { clock } = host;
  const startedMs = clock.now();
  const space = await store.files.space(store.layout.root);
  const print = await printOf(store, signal);
  const quarantine = await lookAside(host, store, before?.quarantine);
  if (before?.print === print && !isStale(before, startedMs)) {
    const report = { ...before.report, space, quarantine };
    return { ...before, report, quarantine, dueMs: startedMs + standsMs, files: 0 };
  }
  const { files, written, claims, unreadable } = await readAll(store, perVolume, signal);
  const seen = flawsOf(files);
  const report = {
    path: store.layout.root,
    space,
    unreadable,
    accounts: sumUp(files),
    flaws: seenTwice(seen, before?.seen),
    begun: await begunOf(store, claims),
    quarantine,
    volumes: figuresOf(files, perVolume),
  };
  const endedMs = clock.now();
  const dueMs = endedMs + Math.max(standsMs, pauseFactor * (endedMs - startedMs));
  const times = { countedMs: startedMs, dueMs };
  return { report, print, written, seen, quarantine, ...times, files: files.length };
}

/** All files of a root, and what is noticed when their records are read. */
async function readAll(store: RootStore, perVolume: number, signal: AbortSignal) {
  const claims: Claim[] = [];
  let written = false;
  let unreadable = 0;
  const keep = keepOf(perVolume);
  const noting = (file: ForestNode): Kept => {
    written ||= file.attachedTo.length > 0;
    return keep(file);
  };
  const files = await readForest(store, noting, {
    atOnce,
    signal,
    onUnreadable: (error) => {
      unreadable += 1;
      store.bad.note(error);
    },
    onClaim: (claim) => claims.push(claim),
  });
  return { files, written, claims, unreadable };
}

/** How many flaws of each kind were there at the count before, too. */
function seenTwice(
  now: ReadonlySet<string>,
  before: ReadonlySet<string> = new Set(),
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>(flawKinds.map((kind) => [kind, 0]));
  for (const flaw of now) {
    const kind = flawKinds.find((each) => flaw.startsWith(`${each} `));
    if (kind && before.has(flaw)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

const isStale = ({ written, countedMs, report, seen }: Counted, nowMs: number): boolean =>
  // A damaged record may be replaced under the name that it has, and a server that has begun something may be gone.
  report.unreadable > 0 ||
  seen.size > 0 ||
  report.begun.length > 0 ||
  (written && nowMs - countedMs >= standsUnchangedMs);

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
