import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  realpathSync,
  statfsSync,
  utimesSync,
  type BigIntStats,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { birthOf, fileTracker, type FileTracker } from './state/file-tracker.ts';
import type { Facts, Ground, Inode, SimulatedPool } from '../core/ground.ts';
import { journal, type Seen } from './state/journal.ts';
import {
  simulatorLayoutOf,
  readDescription,
  readJson,
  type Description,
  type SimulatorLayout,
} from './state/layout.ts';
import { isOpenForWriting, loopsOf } from './state/open-files.ts';
import { processLock, type Lock } from './state/lock.ts';
import { isMounted, readPersonality } from '../core/personality.ts';
import { realFilesets } from './filesets.ts';
import { lookAt, stateFiles, type StateFiles } from './state/state-files.ts';
import { fail } from '../core/errno.ts';

/** What the executables stand on: an XFS with reflink, and state files beside it. Hold the lock while using it. */
export interface RealGround extends Ground {
  readonly layout: SimulatorLayout;
  readonly states: StateFiles;
  readonly tracker: FileTracker;
  /** Completes what a killed command left. Call it first after taking the lock. */
  recover(): void;
}

/** The lock that all commands of one simulator take. */
export const lockOf = (layout: SimulatorLayout): Lock => processLock(join(layout.state, 'lock'));

/** The ground for one command. Do not keep it: it remembers where files are. */
export function realGround(dir: string): RealGround {
  const layout = simulatorLayoutOf(dir);
  const description = readDescription(dir);
  if (!description) throw new Error(`there is no simulator in ${layout.dir}`);
  const states = stateFiles(layout);
  const now = (): number => Date.now();
  const tracker = fileTracker(layout, states, now);
  const settings = (readJson(layout.personality) ?? {}) as Record<string, unknown>;
  const personality = readPersonality(settings);
  const mounted = isMounted(personality) && isMountedThere(layout);
  const view: View = { layout, states, tracker, mounted, seen: new Map() };
  const filesets = realFilesets(layout);

  return {
    layout,
    states,
    tracker,
    personality,
    now,
    device: description.device,
    mountPoint: layout.mount,
    node: description.node,
    createdMs: description.createdMs,
    get aliases() {
      return loopsOf(layout.image);
    },
    get pools() {
      return realPools(description);
    },
    ...filesets,
    filesetOf: (path) => filesets.filesetOf(absolute(path)),
    ...fileParts(view),
  };
}

type FilePart =
  | 'facts'
  | 'record'
  | 'childCount'
  | 'isOpenForWriting'
  | 'draft'
  | 'checkFree'
  | 'commit'
  | 'recover';

function fileParts(view: View): Pick<RealGround, FilePart> {
  const { layout, states, tracker, seen } = view;
  const log = journal(layout, states, tracker);
  return {
    facts: (path) => factsOf(view, path),
    record: (inode) => states.read(inode)?.record,
    childCount: (inode, limit) => tracker.livingChildren(inode, limit).length,
    isOpenForWriting: (path) => isOpenForWriting(absolute(path)),
    draft: (source, as) => {
      const draft = copyBlocks(layout, absolute(source), as);
      // Another program may have removed a file that had this inode number.
      tracker.forget(draft.inode);
      seen.set(draft.inode, draft);
      return draft.inode;
    },
    checkFree: (path) => {
      checkFree(layout, absolute(path));
    },
    commit: (changes) => {
      const whole = changes.map((change) =>
        change.do === 'name' ? { ...change, path: absolute(change.path) } : change,
      );
      log.commit(whole, seen);
    },
    recover: () => {
      if (view.mounted) log.recover();
    },
  };
}

/** Whether the simulated file system is mounted at its mount point. */
const isMountedThere = (layout: SimulatorLayout): boolean => {
  const mount = lookAt(layout.mount);
  return mount !== undefined && mount.dev !== lstatSync(layout.dir, { bigint: true }).dev;
};

/** The path with its directory resolved, so that a file has the same path in every command. */
export function absolute(path: string): string {
  const whole = resolve(path);
  try {
    return join(realpathSync(dirname(whole)), basename(whole));
  } catch {
    return whole;
  }
}

interface View {
  readonly layout: SimulatorLayout;
  readonly states: StateFiles;
  readonly tracker: FileTracker;
  readonly seen: Map<Inode, Seen>;
  readonly mounted: boolean;
}

function factsOf({ layout, states, tracker, seen, mounted }: View, given: string): Facts {
  const path = absolute(given);
  const stat = lstatSync(path, { bigint: true });
  const isHere = stat.dev === lstatSync(layout.mount, { bigint: true }).dev;
  // The XFS below stays mounted, so what is seen of an unmounted GPFS is what a forced unmount leaves.
  if (!mounted && isHere) fail('ESTALE', 'stat', given);
  if (!isHere) fail('EINVAL', 'stat', given);
  const inode = String(stat.ino);
  const birth = birthOf(stat);
  followFile({ states, tracker }, inode, { path, birth });
  seen.set(inode, { path, birth });
  return {
    inode,
    kind: kindOf(stat),
    size: stat.size,
    links: Number(stat.nlink),
    bornMs: Number(stat.birthtimeMs),
  };
}

function followFile(
  { states, tracker }: Pick<View, 'states' | 'tracker'>,
  inode: Inode,
  at: Seen,
): void {
  const state = states.read(inode);
  if (!state) return;
  if (state.birth !== at.birth) {
    tracker.forget(inode);
    return;
  }
  tracker.noteAt(state, at.path);
  tracker.checkSound(inode, at.path);
}

const kindOf = (stat: BigIntStats): Facts['kind'] =>
  stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other';

function copyBlocks(
  layout: SimulatorLayout,
  source: string,
  as: 'snap' | 'copy',
): Seen & { inode: Inode } {
  const random = `${process.pid}.${Math.random().toString(36).slice(2)}`;
  const path = join(layout.hidden, 'drafts', random);
  const from = lstatSync(source);
  copyFileSync(source, path, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  chmodSync(path, as === 'snap' ? from.mode & 0o7777 : 0o644);
  if (as === 'snap') utimesSync(path, from.atime, from.mtime);
  const made = lstatSync(path, { bigint: true });
  return { inode: String(made.ino), path, birth: birthOf(made) };
}

function checkFree(layout: SimulatorLayout, path: string): void {
  const parent = lstatSync(dirname(path), { bigint: true });
  if (!parent.isDirectory()) fail('ENOTDIR', 'create', path);
  if (lookAt(path)) fail('EEXIST', 'create', path);
  if (parent.dev !== lstatSync(layout.mount, { bigint: true }).dev) fail('EXDEV', 'create', path);
  if (Buffer.byteLength(basename(path)) > 255) fail('ENAMETOOLONG', 'create', path);
}

function realPools({ mount, pools }: Description): readonly SimulatedPool[] {
  const { blocks, bavail, bsize } = statfsSync(mount, { bigint: true });
  return pools.map((name, at) => ({
    name,
    id: at === 0 ? 0 : 65_536 + at,
    metadata: at === 0,
    totalKiB: (blocks * bsize) / 1024n,
    freeKiB: (bavail * bsize) / 1024n,
  }));
}
