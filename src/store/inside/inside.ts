import { dirname } from 'node:path';
import { DriverError } from '../../model/fault.ts';
import type { Clock } from '../../run/clock.ts';
import { undefinedWhenMissing, type Files, type FileStat } from '../../run/files.ts';
import { isOwn, isShared } from '../../run/named/named.ts';
import { unreadable } from '../json.ts';

/** How long a directory counts as checked, and how many are remembered. */
const checkedMs = 5_000;
const mostChecked = 10_000;

/** What the check of directories needs. */
export interface InsideHost {
  /** lstat(2) without any guard. */
  readonly lookAt: (path: string) => Promise<FileStat>;
  readonly clock: Clock;
}

/**
 * Checks that a path of a root leads through directories of its file system only. Throws unreadable-record for one that
 * is a symbolic link or a mount, which somebody else must have put there. A directory that was checked a moment ago is
 * not checked again; a root that others may write to is refused anyway.
 */
export function insideOf(
  root: string,
  { lookAt, clock }: InsideHost,
): (path: string) => Promise<void> {
  const until = new Map<string, number>();
  const check = async (directory: string, device: bigint): Promise<boolean> => {
    const stat = await lookAt(directory).catch(undefinedWhenMissing);
    if (!stat) return false;
    if (stat.kind !== 'directory') throw outside(directory, `it is a ${stat.kind}`);
    if (stat.device !== device) throw outside(directory, 'it is on another file system');
    if (until.size >= mostChecked) until.clear();
    until.set(directory, clock.now() + checkedMs);
    return true;
  };
  return async (path) => {
    if (!path.startsWith(`${root}/`)) return;
    const todo = directoriesBetween(root, path).filter(
      (each) => (until.get(each) ?? 0) <= clock.now(),
    );
    if (todo.length === 0) return;
    const device = (await lookAt(root).catch(undefinedWhenMissing))?.device;
    // Where there is none, the call itself says so.
    if (device === undefined) return;
    for (const directory of todo) if (!(await check(directory, device))) return;
  };
}

const outside = (directory: string, why: string): DriverError =>
  unreadable(directory, `${why}, and a root has plain directories only`);

/** The directories of a path below the root, the highest first. */
function directoriesBetween(root: string, path: string): readonly string[] {
  const found: string[] = [];
  for (let at = dirname(path); at !== root && at !== '/'; at = dirname(at)) found.unshift(at);
  return found;
}

/** The same calls; each waits for the check of its paths first. */
export function insideFiles(files: Files, check: (path: string) => Promise<void>): Files {
  const one =
    <Rest extends readonly unknown[], Result>(
      call: (path: string, ...rest: Rest) => Promise<Result>,
    ) =>
    async (path: string, ...rest: Rest): Promise<Result> => {
      await check(path);
      return call(path, ...rest);
    };
  const two =
    <Rest extends readonly unknown[], Result>(
      call: (from: string, to: string, ...rest: Rest) => Promise<Result>,
    ) =>
    async (from: string, to: string, ...rest: Rest): Promise<Result> => {
      await check(from);
      await check(to);
      return call(from, to, ...rest);
    };
  return {
    read: one(files.read),
    head: one(files.head),
    createDurable: one(files.createDurable),
    overwrite: one(files.overwrite),
    createSparse: one(files.createSparse),
    grow: one(files.grow),
    copyRange: two(files.copyRange),
    writeZeros: one(files.writeZeros),
    link: two(files.link),
    rename: two(files.rename),
    unlink: one(files.unlink),
    makeDirectory: one(files.makeDirectory),
    removeDirectory: one(files.removeDirectory),
    list: one(files.list),
    stat: one(files.stat),
    statsIn: async (directory, names) => {
      await check(`${directory}/.`);
      return files.statsIn(directory, names);
    },
    held: one(files.held),
    chmod: one(files.chmod),
    touch: one(files.touch),
    syncDirectory: one(files.syncDirectory),
    space: one(files.space),
  };
}

/** Why others may write to what lies in a directory of a root, in words; undefined where only root may. */
function whyOpen(path: string, stat: FileStat): string | undefined {
  if (stat.kind !== 'directory') return `${path} is a ${stat.kind}`;
  if (!isOwn(stat.uid)) return `${path} belongs to user ${stat.uid}`;
  return isShared(stat) ? `others may write to ${path}` : undefined;
}

/** Throws misconfigured for a root that others may write to: its records decide what the driver does as root. */
export async function requireClosed(
  {
    root,
    state,
    fixed,
  }: { readonly root: string; readonly state: string; readonly fixed: readonly string[] },
  lookAt: InsideHost['lookAt'],
): Promise<void> {
  for (const path of [root, state, ...fixed]) {
    const stat = await lookAt(path).catch(undefinedWhenMissing);
    const why = stat && whyOpen(path, stat);
    if (why !== undefined)
      throw new DriverError(
        'misconfigured',
        `root ${root} is not safe to use: ${why}; chown it to root and chmod it to 0750, after a look at what lies in it`,
      );
  }
}
