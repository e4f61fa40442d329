import type { Clock, Nonce } from '../../run/clock.ts';
import type { Files } from '../../run/files.ts';
import type { Mounts } from '../../run/mounts.ts';
import type { Run } from '../../run/run.ts';
import type { Trials } from '../../run/trials.ts';
import { virtualClock, type VirtualClock } from '../core/clock.ts';
import { makeFaults, type Faults } from '../core/faults.ts';
import type { Inode } from '../core/ground.ts';
import { filesNow } from './files.ts';
import { memoryGround, type MemoryGround } from './ground.ts';
import { directAccess, type OpenFile, type CloneNode } from './direct-access.ts';
import { memoryMounts } from './mounts.ts';
import { portTrials } from './trials.ts';
import { readPersonality, type Personality } from '../core/personality.ts';
import { noCounts, portFiles, portRun, type Counts } from './ports.ts';
import { enter, type MemoryFileSystem } from './file-system.ts';

/** Options of an in-process GPFS; each has a default. */
export interface GpfsOptions {
  readonly personality?: Partial<Personality>;
  readonly device?: string;
  readonly mountPoint?: string;
  readonly fileset?: string;
  /** The nonces follow from this: the same seed gives the same nonces. */
  readonly seed?: number;
  readonly totalKiB?: bigint;
  /** Every call awaits this first. Default: one turn of the microtask queue. */
  readonly schedule?: (label: string) => Promise<void>;
}

/** One server's view of the cluster: the ports that a driver needs, and the faults to plan for this server. */
export interface ServerView extends Omit<Faults, 'through'> {
  readonly name: string;
  readonly run: Run;
  readonly files: Files;
  readonly trials: Trials;
  readonly mounts: Mounts;
  readonly clock: Clock;
  readonly nonce: Nonce;
  readonly counts: Counts;
}

/** A whole GPFS in memory. It is also the view of its first server, `a1`. */
export interface SimulatedGpfs extends ServerView {
  readonly clock: VirtualClock;
  readonly mountPoint: string;
  readonly filesetPath: string;
  personality(): Personality;
  /** Changes the behaviour of the next calls. */
  set(change: Partial<Personality>): void;
  /** The view of another server; the same name gives the same view. */
  server(name: string): ServerView;
  /** Counts of all servers together. */
  readonly total: Counts;
  resetCounts(): void;
  open(path: string, how?: 'read' | 'write'): OpenFile;
  write(path: string, block: number, value: string): void;
  /** The block as the file reads it. Undefined for a hole in the file and in all its ancestors. */
  readBlock(path: string, block: number): string | undefined;
  /** How many blocks a file holds itself, without those that it reads through its parents. */
  heldBlocks(path: string): number;
  /** Two files have the same hash exactly when they have the same content. */
  hash(path: string): string;
  /** Paths of all files on GPFS, sorted. GPFS need not be mounted. */
  paths(): readonly string[];
  /** Paths of files below the mount point that are not on GPFS: they were written while it was not mounted. */
  strayPaths(): readonly string[];
  /** The clone forest: every inode that is in a clone tree, with its parent and children. */
  tree(): ReadonlyMap<Inode, CloneNode>;
}

/** A deterministic GPFS inside this process. */
export function simulateGpfs(options: GpfsOptions = {}): SimulatedGpfs {
  const clock = virtualClock(Date.UTC(2026, 0, 5, 8, 0, 0));
  const device = options.device ?? 'fs1';
  const mountPoint = options.mountPoint ?? `/gpfs/${device}`;
  const fileset = options.fileset ?? 'csi-data';
  const ground = memoryGround({
    device,
    node: 'a1',
    mountPoint,
    fileset,
    now: () => clock.now(),
    personality: readPersonality({ ...options.personality }),
    totalKiB: options.totalKiB ?? 1n << 30n,
  });
  makeMountPoint(ground.local, mountPoint, clock.now());
  const total = noCounts();
  const views = new Map<string, ServerView>();
  const makeView = viewsOf(ground, clock, total, options);
  const server = (name: string): ServerView => {
    const view = views.get(name) ?? makeView(name);
    views.set(name, view);
    return view;
  };
  return Object.assign(server('a1'), {
    clock,
    mountPoint,
    filesetPath: `${mountPoint}/${fileset}`,
    server,
    total,
    ...directAccess(ground),
    personality: () => ground.personality,
    set: (change: Partial<Personality>) => {
      ground.personality = readPersonality({ ...ground.personality, ...change });
    },
    resetCounts: () => {
      clear(total);
      for (const view of views.values()) clear(view.counts);
    },
  });
}

function viewsOf(
  ground: MemoryGround,
  clock: VirtualClock,
  total: Counts,
  { seed = 1, schedule = () => Promise.resolve() }: GpfsOptions,
): (name: string) => ServerView {
  const now = filesNow(ground);
  // All servers share it, so that no two of them get the same nonce.
  const nonce = seededNonce(seed);
  return (name) => {
    const faults = makeFaults(name);
    const counts = noCounts();
    const behind = {
      ground,
      clock,
      faults,
      counts: [counts, total],
      turn: (label: string) => schedule(`${name}: ${label}`),
    };
    const ports = {
      run: portRun(behind),
      files: portFiles(behind, now),
      trials: portTrials(behind),
    };
    const mounts = memoryMounts(ground, name, faults);
    return Object.assign(faults, { name, ...ports, mounts, clock, nonce, counts });
  };
}

function clear(counts: Counts): void {
  counts.commands.clear();
  counts.files.clear();
  counts.fsyncs = 0;
}

function makeMountPoint(local: MemoryFileSystem, mountPoint: string, nowMs: number): void {
  let at = local.root;
  for (const name of mountPoint.split('/').filter(Boolean)) {
    const directory = local.make('directory', 0o755, nowMs);
    enter({ directory: at, name }, directory, 'mkdir', mountPoint);
    at = directory;
  }
}

// Counts, and multiplies each count by an odd number modulo 2^32. This never gives one value twice.
function seededNonce(seed: number): Nonce {
  let count = 0;
  return () => {
    count += 1;
    const mixed = Math.imul(count + Math.imul(seed, 7919), 0x9e3779b1) >>> 0;
    return mixed.toString(16).padStart(8, '0');
  };
}
