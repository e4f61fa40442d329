import { constants } from 'node:fs';
import { lstat, open, readlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { DriverError } from '../../model/fault.ts';
import { errnoOf, undefinedWhenMissing, type FileStat, type Files } from '../files.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

const mostLinks = 40;
const sticky = 0o1000;

/** A name in a directory that is open. */
export interface NameIn {
  /** As the caller gave it, for messages. */
  readonly shown: string;
  /** The name in the open directory: whatever takes the place of that directory, it leads there, in this process. */
  readonly path: string;
}

/** A path that a caller named, with its directory held open until it is disposed of. */
export type NamedPath = NameIn & AsyncDisposable;

/** Whose directories may be on the way to a file: those that only root may change, or those of others as well. */
export type Trust = 'only-root' | 'others-too';

/**
 * Opens the directory of an absolute path. Throws wrong-state where another user could exchange a component, unless
 * the caller trusts that user; a symbolic link in the directory of another user is always refused.
 */
export async function openNamed(path: string, trust: Trust): Promise<NamedPath> {
  const directory = await openDirectory({ path, trust }, dirname(path), basename(path));
  return held(directory, { shown: path, path: `/proc/self/fd/${directory.fd}/${basename(path)}` });
}

/** The same for a directory whose files are to be used. */
export async function openNamedDirectory(path: string, trust: Trust): Promise<NamedPath> {
  const directory = await openDirectory({ path, trust }, path);
  return held(directory, { shown: path, path: `/proc/self/fd/${directory.fd}/.` });
}

/** A file of a directory that is open. */
export const nameIn = (directory: NameIn, name: string): NameIn => ({
  shown: `${directory.shown}/${name}`,
  path: `${directory.path}/${name}`,
});

const held = (directory: FileHandle, name: NameIn): NamedPath => ({
  ...name,
  [Symbol.asyncDispose]: () => directory.close(),
});

interface Asked {
  readonly path: string;
  readonly trust: Trust;
}

async function openDirectory(asked: Asked, directory: string, last = '.'): Promise<FileHandle> {
  const walk = { at: await openTop(), links: 0 };
  try {
    await follow(asked, walk, partsOf(directory));
    requireTrust(asked, await whyExchangeable(walk.at, last));
    return walk.at;
  } catch (error) {
    await walk.at.close();
    throw error;
  }
}

/** Follows a path with one open directory at a time. */
async function follow(
  asked: Asked,
  walk: { at: FileHandle; links: number },
  todo: string[],
): Promise<void> {
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    const why = await whyExchangeable(walk.at, name);
    requireTrust(asked, why);
    const target = await linkAt(asked, walk.at, name);
    if (target !== undefined) refuseLink(asked, ++walk.links, why);
    todo.unshift(...partsOf(target ?? ''));
    const next = await nextOf(asked, walk.at, { name, target });
    if (!next) continue;
    await walk.at.close();
    walk.at = next;
  }
}

/** The directory to go on from; undefined where a link leads on from the same one. */
async function nextOf(
  asked: Asked,
  at: FileHandle,
  { name, target }: { readonly name: string; readonly target: string | undefined },
): Promise<FileHandle | undefined> {
  if (target === undefined) return enter(asked, at, name);
  return target.startsWith('/') ? openTop() : undefined;
}

const openTop = (): Promise<FileHandle> => open('/', O_RDONLY | O_DIRECTORY);

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '');

const childOf = ({ fd }: FileHandle, name: string): string => `/proc/self/fd/${fd}/${name}`;

/** Who besides root could exchange what has this name in a directory, in words; undefined where nobody could. */
async function whyExchangeable(directory: FileHandle, name: string): Promise<string | undefined> {
  const { uid, gid, mode } = await directory.stat();
  const shown = await readlink(`/proc/self/fd/${directory.fd}`);
  if (!isOwn(uid)) return `${shown} belongs to user ${uid}`;
  if (!isShared({ mode, gid })) return undefined;
  if ((mode & sticky) === 0) return `others may write to ${shown}`;
  const child = await lstat(childOf(directory, name)).catch(undefinedWhenMissing);
  return child === undefined || isOwn(child.uid)
    ? undefined
    : `${shown}/${name} belongs to user ${child.uid}`;
}

/** Whether a file of this user can be changed by root alone, as far as its owner is concerned. */
export const isOwn = (uid: number): boolean => uid === 0 || uid === process.geteuid?.();

/** Whether the mode of a directory lets others than its owner write to it. */
export const isShared = ({ mode, gid }: Pick<FileStat, 'mode' | 'gid'>): boolean =>
  (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);

function requireTrust({ path, trust }: Asked, why: string | undefined): void {
  if (why === undefined || trust === 'others-too') return;
  throw new DriverError(
    'wrong-state',
    `${path} is not safe to use: ${why}, who could exchange files while the command runs; move it to a directory that only root may change, or trust them with --trust-directory`,
  );
}

/** The target where this name is a symbolic link. */
async function linkAt(asked: Asked, at: FileHandle, name: string): Promise<string | undefined> {
  const child = childOf(at, name);
  const stat = await lstat(child).catch(notThere(asked));
  return stat.isSymbolicLink() ? readlink(child) : undefined;
}

const enter = (asked: Asked, at: FileHandle, name: string): Promise<FileHandle> =>
  open(childOf(at, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(notThere(asked));

/** Said of a path that leads nowhere. */
export const isNotThere =
  'is not there; name it as the driver sees it: in the pod of the driver, only what lies in GPFS';

const notThere =
  ({ path }: Asked) =>
  (error: unknown): never => {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw error;
    throw new DriverError('wrong-state', `the directory of ${path} ${isNotThere}`, error);
  };

function refuseLink({ path }: Asked, links: number, why: string | undefined): void {
  const problem =
    why === undefined
      ? links > mostLinks && 'leads through too many symbolic links'
      : `leads through a symbolic link, and ${why}; name the path without that link`;
  if (problem) throw new DriverError('wrong-state', `${path} ${problem}`);
}

const identity = ['device', 'inode'] as const;

/** Whether two looks saw the same file, whatever its name was. */
export const isSameFile = (
  a: Pick<FileStat, (typeof identity)[number]>,
  b: Pick<FileStat, (typeof identity)[number]>,
): boolean => identity.every((key) => a[key] === b[key]);

/** Gives a named file another name, which nobody else may change. Throws wrong-state where it is not the file that was seen. */
export async function linkSame(
  files: Pick<Files, 'link' | 'stat' | 'unlink'>,
  { shown, path }: NameIn,
  seen: FileStat,
  target: string,
): Promise<void> {
  await files.link(path, target);
  if (isSameFile(await files.stat(target), seen)) return;
  await files.unlink(target);
  throw exchanged(shown);
}

/** Removes a name while it is of the file that was seen; throws wrong-state where it is of another. */
export async function unlinkSame(
  files: Pick<Files, 'stat' | 'unlink'>,
  { shown, path }: NameIn,
  seen: Pick<FileStat, 'device' | 'inode'>,
): Promise<void> {
  if (!isSameFile(await files.stat(path), seen)) throw exchanged(shown);
  await files.unlink(path);
}

/** The error where another file has taken the place of the one that was seen. */
export const exchanged = (shown: string): DriverError =>
  new DriverError(
    'wrong-state',
    `${shown} was exchanged for another file during the command, and was left as it is; find out who does that, then try again`,
  );
