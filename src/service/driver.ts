import type { Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import type { RootTopology } from '../model/topology.ts';
import type { Gpfs } from '../gpfs/commands.ts';
import type { Allocate } from '../linux/fallocate.ts';
import type { Log } from '../observe/log.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import type { Files } from '../run/files.ts';
import type { Mounts } from '../run/mounts.ts';
import type { Self } from '../store/nodes.ts';
import { openRoot, type RootStore, type StoreHost } from '../store/root.ts';
import type { Services } from './api.ts';
import { attachmentsOf } from './attachments/attachments.ts';
import { endings } from './endings.ts';
import { capacityOf } from './volumes/capacity.ts';
import { claimsOf } from './claims/claims.ts';
import { linesOf } from './claims/line.ts';
import { backlogOf } from './compaction/backlog.ts';
import { compactingOf, turnsOf } from './compaction/running.ts';
import { workerOf, type Worker } from './compaction/worker.ts';
import type { CompactionOptions, FillProgress, Happening, ServiceHost } from './host.ts';
import { reclaimAll } from './maintenance.ts';
import { limitsOf, noLimits, type LimitOptions } from './volumes/overcommit.ts';
import { placementOf, type Placement } from './roots/placement.ts';
import { rootsOf, type Roots } from './roots/roots.ts';
import { groupsOf } from './groups/groups.ts';
import { snapshotsOf } from './snapshots/snapshots.ts';
import { checkRoot } from './roots/startup.ts';
import { readinessIn, surveyOf, type Needs, type Survey } from './roots/readiness.ts';
import { volumesOf } from './volumes/volumes.ts';

/** The settings of the driver, and the ports that it uses. */
export interface DriverHost {
  readonly gpfs: Gpfs;
  readonly files: Files;
  /** As in StoreHost. */
  readonly lookAt?: StoreHost['lookAt'];
  readonly mounts: Mounts;
  readonly clock: Clock;
  readonly nonce: Nonce;
  readonly log: Log;
  readonly self: Self;
  readonly roots: readonly string[];
  readonly mountType: string;
  /** The pool of volumes whose class names none; undefined: GPFS chooses. */
  readonly pool: string | undefined;
  /** The Kubernetes cluster that owns the roots; '' where there is none. */
  readonly owner: string;
  readonly compaction: CompactionOptions;
  readonly limits?: LimitOptions;
  /** How callers learn which nodes have which root; absent: every node is assumed to have all. */
  readonly topology?: RootTopology | undefined;
  readonly allowBuffered?: boolean;
  /** How blocks of thick volumes are allocated; zeros are written where this is absent or not supported. */
  readonly allocate?: Allocate;
  /** How long a request waits for a volume to be filled; absent: without limit. */
  readonly patienceMs?: number;
  /** Called with the path of a root and the most bytes that a redirect there may have copied. */
  readonly compacted?: (root: string, bytes: Bytes) => void;
  /** Called with the path of a root and what has happened there. */
  readonly happened?: ((root: string, what: Happening) => void) | undefined;
  /** Called after each part of a volume that is filled; where this is absent, the log says it. */
  readonly progress?: ((at: FillProgress) => void) | undefined;
  /**
   * Resolves when nothing of an earlier driver process of this node can act any more; throws unavailable before. Other
   * servers take a new registration as the proof of that. Absent: there are no earlier processes.
   */
  readonly alone?: () => Promise<void>;
}

/** The controller's side of the driver, and what its upkeep needs. */
export interface Driver extends Pick<
  Services,
  'readiness' | 'volumes' | 'snapshots' | 'groups' | 'attachments' | 'capacity'
> {
  readonly host: ServiceHost;
  readonly roots: Roots;
  readonly worker: Worker;
  /** Which roots can be used now. */
  readonly survey: () => Promise<Survey>;
  /** Where callers know which nodes have which root, one root is enough for a node. */
  readonly needs: Needs;
}

/** How long the answer that a root cannot be used is kept: checks run commands, and many callers ask at once. */
const keepFailureMs = 5_000;

/** The driver over one host. Nothing is read or written before it is first used. */
export function driverOf(on: DriverHost): Driver {
  const { clock, log, gpfs } = on;
  const placement = placementOf(gpfs, clock);
  const open = opener(on, placement, (store) => {
    host.backlog.wake();
    reclaimAll(host, store).catch((error: unknown) => {
      const { root } = store.layout;
      log.warn({ root, error }, 'barred names or left-over clone parents could not be removed');
    });
  });
  const roots = rootsOf(on.roots, rememberFailures(open, clock));
  const host = hostOf(on, roots, placement);
  const survey = () => surveyOf(roots);
  const needs = on.topology ? 'some root' : 'every root';
  return {
    host,
    roots,
    worker: workerOf(host),
    survey,
    needs,
    readiness: async () => readinessIn(await survey(), needs),
    volumes: volumesOf(host),
    snapshots: snapshotsOf(host),
    groups: groupsOf(host),
    attachments: attachmentsOf(host),
    capacity: capacityOf(host),
  };
}

/** The services below the operations. */
function hostOf(on: DriverHost, roots: Roots, placement: Placement): ServiceHost {
  const { self, clock, nonce, log, gpfs } = on;
  return {
    roots,
    self,
    clock,
    nonce,
    log,
    placement,
    commands: gpfs,
    claims: claimsOf(on),
    endings,
    inLine: linesOf(),
    ...backgroundOf(on),
    limits: limitsOf(on.limits ?? noLimits, placement, clock),
    allocate: on.allocate ?? (() => Promise.resolve(false)),
    patienceMs: on.patienceMs ?? Infinity,
    defaults: on.pool === undefined ? {} : { pool: on.pool },
    topology: on.topology,
    allowBuffered: on.allowBuffered ?? false,
  };
}

/** What work uses that no request waits for. */
const backgroundOf = ({
  log,
  compaction,
  compacted,
  happened,
  progress,
}: DriverHost): Pick<
  ServiceHost,
  | 'backlog'
  | 'compaction'
  | 'compacting'
  | 'compacted'
  | 'happened'
  | 'turn'
  | 'background'
  | 'progress'
> => ({
  backlog: backlogOf(log),
  compaction,
  compacting: compactingOf(),
  compacted: (store, bytes) => compacted?.(store.layout.root, bytes),
  happened: (store, what) => happened?.(store.layout.root, what),
  turn: turnsOf(compaction.perFileSystem),
  background: (work, about) => {
    work.catch((error: unknown) => {
      log.warn({ ...about, error }, 'work in the background failed');
    });
  },
  progress:
    progress ??
    (({ step, ...at }) => {
      log.info(at, step);
    }),
});

/** Checks a root, opens it, and registers this server in it. */
function opener(
  on: DriverHost,
  placement: Placement,
  opened: (store: RootStore) => void,
): (path: string) => Promise<RootStore> {
  return async (path) => {
    const result = await checkRoot(on, path);
    switch (result.kind) {
      case 'starting':
        throw new DriverError('unavailable', result.reason);
      case 'impossible':
        throw new DriverError('misconfigured', result.reason);
      case 'ready': {
        const { clusterId, fileSystem, fileset } = result.facts;
        placement.learn(result.facts.about);
        const store = await openRoot(path, { clusterId, fileSystem, fileset, owner: on.owner }, on);
        await on.alone?.();
        await store.freeing.nodes.register(on.self);
        on.log.info({ path, root: store.id, fileSystem, fileset }, 'root opened');
        opened(store);
        return store;
      }
    }
  };
}

function rememberFailures<T>(
  open: (path: string) => Promise<T>,
  clock: Clock,
): (path: string) => Promise<T> {
  const failed = new Map<string, { readonly untilMs: number; readonly error: unknown }>();
  return async (path) => {
    const known = failed.get(path);
    if (known && known.untilMs > clock.now()) throw known.error;
    try {
      return await open(path);
    } catch (error) {
      failed.set(path, { untilMs: clock.now() + keepFailureMs, error });
      throw error;
    }
  };
}
