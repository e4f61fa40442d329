import { dirname, join, relative } from 'node:path';
import { DriverError, isFault } from '../model/fault.ts';
import { errnoOf, isFull, isMissing, type FileStat, type Files } from '../run/files.ts';
import { isReadOnly, mountOf, type Mount, type Mounts } from '../run/mounts.ts';
import { fromText, refuseOther } from './json.ts';
import type { Layout } from './layout.ts';
import { rootFile, type RootFile } from './schema/root.ts';

type Call = (...args: never[]) => Promise<unknown>;

/**
 * The same calls; an error of the file system, rather than of the file, becomes a fault that callers understand.
 * Reading or listing what is of another kind throws unreadable-record: one such file must not stop the rest.
 */
export function translatedFiles(files: Files): Files {
  const translated = <C extends Call>(call: C): C =>
    ((...args: Parameters<C>) => call(...args).catch(translate)) as C;
  return {
    ...mapCalls(files, translated),
    read: (path) =>
      files
        .read(path)
        .catch(refuseOther(files, path, 'file'))
        .catch(translate),
    list: (path) =>
      files
        .list(path)
        .catch(refuseOther(files, path, 'directory'))
        .catch(translate),
  };
}

/** How the root of guarded files is checked. All throw unavailable. */
export interface RootGuard {
  /** Resolves while the root is mounted, and is the one that was opened. */
  readonly mounted: () => Promise<void>;
  /** Resolves while the root is mounted for writing. */
  readonly writable: () => Promise<void>;
  /** Whether one of these paths is missing in the root that was opened. False also where that cannot be seen. */
  readonly lacks: (paths: readonly string[]) => Promise<boolean>;
  /** Called where a change failed because of the file system; returns the error for one that is read-only below its mount. */
  readonly refused: (cause: unknown) => DriverError;
}

/**
 * The same calls. Each change waits for the check of the root first, and is not made when that throws. That something
 * does not exist counts only where the root itself lacks it: an unmounted root has no file either.
 */
export function guardedFiles(files: Files, root: RootGuard): Files {
  const trusted = <C extends Call>(call: C, needs: Needs): C =>
    ((...args: Parameters<C>) =>
      call(...args).catch(async (error: unknown) => {
        if (!isMissing(error)) throw error;
        if (await root.lacks(needs(...(args as unknown as Parameters<Needs>)))) throw error;
        await root.mounted();
        return call(...args).catch((again: unknown) => stillMissing(again, root));
      })) as C;
  const guarded = <C extends Call>(call: C, needs: Needs): C =>
    (async (...args: Parameters<C>) => {
      await root.mounted();
      return trusted(
        call,
        needs,
      )(...args).catch(async (error: unknown) => {
        if (errnoOf(error) === 'EROFS') await root.writable();
        if (isFault(error, 'unavailable')) root.refused(error);
        throw error;
      });
    }) as C;
  // No clone parent can be what these calls find read-only.
  const making = <C extends Call>(call: C): C =>
    ((...args: Parameters<C>) =>
      call(...args).catch((error: unknown) => {
        throw errnoOf(error) === 'EROFS' ? root.refused(error) : error;
      })) as C;
  const { read, head, list, stat, statsIn, held, space, syncDirectory } = mapCalls(files, trusted);
  const changes = mapCalls(files, guarded);
  const makes = {
    createDurable: making(changes.createDurable),
    createSparse: making(changes.createSparse),
    makeDirectory: making(changes.makeDirectory),
    touch: making(changes.touch),
  };
  const looks = { read, head, list, stat, statsIn, held, space, syncDirectory };
  return { ...changes, ...makes, ...looks };
}

async function stillMissing(error: unknown, root: RootGuard): Promise<never> {
  if (isMissing(error)) await root.mounted();
  throw error;
}

/** The paths without which a call finds something missing. */
type Needs = (path: string, other: string) => readonly string[];

const itself: Needs = (path) => [path];
const itsDirectory: Needs = (path) => [dirname(path)];
const bothPlaces: Needs = (path, other) => [path, dirname(other)];

function mapCalls(files: Files, wrap: <C extends Call>(call: C, needs: Needs) => C): Files {
  return {
    read: wrap(files.read, itself),
    head: wrap(files.head, itself),
    list: wrap(files.list, itself),
    stat: wrap(files.stat, itself),
    statsIn: wrap(files.statsIn, itself),
    held: wrap(files.held, itself),
    space: wrap(files.space, itself),
    syncDirectory: wrap(files.syncDirectory, itself),
    createDurable: wrap(files.createDurable, itsDirectory),
    overwrite: wrap(files.overwrite, itself),
    createSparse: wrap(files.createSparse, itsDirectory),
    grow: wrap(files.grow, itself),
    copyRange: wrap(files.copyRange, (from, to) => [from, to]),
    writeZeros: wrap(files.writeZeros, itself),
    link: wrap(files.link, bothPlaces),
    rename: wrap(files.rename, bothPlaces),
    unlink: wrap(files.unlink, itself),
    makeDirectory: wrap(files.makeDirectory, itsDirectory),
    removeDirectory: wrap(files.removeDirectory, itself),
    chmod: wrap(files.chmod, itself),
    touch: wrap(files.touch, itself),
  };
}

const away = ['ESTALE', 'EIO', 'ENODEV', 'ENXIO', 'ETIMEDOUT', 'ESHUTDOWN'];

function translate(error: unknown): never {
  const code = errnoOf(error) ?? '';
  if (isFull(error))
    throw new DriverError(
      'no-space',
      `the file system has no space, inodes or quota left (${code}); delete something or ask for more`,
      error,
    );
  if (away.includes(code))
    throw new DriverError(
      'unavailable',
      `the file system does not answer (${code}); is GPFS running and mounted?`,
      error,
    );
  throw error;
}

/** What the check of a root reads. */
interface GuardHost {
  readonly files: Files;
  readonly mounts: Mounts;
  /** The file system type a root must lie on. */
  readonly mountType: string;
}
type MountHost = Pick<GuardHost, 'mounts' | 'mountType'>;

/** What a root belongs to; compared with root.json, or written there when the root is new. */
export interface RootFacts {
  readonly clusterId: string;
  readonly fileSystem: string;
  readonly fileset: string;
  readonly owner: string;
}

/** Undefined only where the file system was mounted before and after: one that was unmounted has no file either. */
export async function findRootFile(layout: Layout, host: GuardHost): Promise<RootFile | undefined> {
  const found = await readRootFile(layout, host);
  if (!found) await requireMount(layout.root, host);
  return found;
}

/** A root that lost its root.json must not get another id: every volume's id begins with it. */
export async function refuseUsed(layout: Layout, host: GuardHost): Promise<RootFile | undefined> {
  for (const data of ['volumes', 'snapshots', 'hidden']) {
    const directory = join(layout.root, data);
    const [first] = await host.files.list(directory).catch(noneWhenMissing);
    if (first === undefined) continue;
    // Or another server has set it up a moment ago.
    const made = await readRootFile(layout, host);
    if (made) return made;
    throw new DriverError(
      'misconfigured',
      `${layout.rootFile} is missing, but ${directory} holds files; restore it, with the root id that the handles of its volumes begin with`,
    );
  }
  return undefined;
}

const noneWhenMissing = (error: unknown): readonly string[] => {
  if (errnoOf(error) === 'ENOENT') return [];
  throw error;
};

/** Throws misconfigured unless the root belongs to what it is expected to belong to. */
export function requireSame(path: string, facts: RootFile, expected: RootFacts): void {
  for (const field of ['clusterId', 'fileSystem', 'fileset', 'owner'] as const)
    if (facts[field] !== expected[field])
      throw new DriverError(
        'misconfigured',
        `root ${path} belongs to ${field} ${JSON.stringify(facts[field])}, not to ${JSON.stringify(expected[field])}; ` +
          (field === 'owner'
            ? 'give each Kubernetes cluster a root of its own'
            : 'was it copied from somewhere else? use an empty directory'),
      );
}

/** The root's own file; undefined where it is not there. */
export async function readRootFile(
  layout: Layout,
  { files }: GuardHost,
): Promise<RootFile | undefined> {
  try {
    const path = layout.rootFile;
    const text = await files.read(path).catch(refuseOther(files, path, 'file'));
    return fromText(rootFile, text, path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The mount that a root lies on. Throws unavailable unless its type is the right one. */
export async function requireMount(path: string, { mounts, mountType }: MountHost): Promise<Mount> {
  const mount = mountOf(await mounts(), path);
  if (mount?.type === mountType) return mount;
  throw new DriverError(
    'unavailable',
    `root ${path} is not on a ${mountType} file system but on ${mount?.type ?? 'nothing'}; is the file system mounted?`,
  );
}

/** Throws unavailable where the file system of a root is mounted read-only: then no record can be written. */
export async function requireWritable(path: string, host: MountHost): Promise<void> {
  const mount = await requireMount(path, host);
  if (!isReadOnly(mount)) return;
  throw new DriverError(
    'unavailable',
    `root ${path} cannot be written to: ${mount.point} is mounted read-only; mount it for writing (mmumount, then mmmount -o rw)`,
  );
}

/**
 * How an opened root is checked: `mounted` is one lstat where nothing changed, of the device and inode that root.json
 * had when the mount was last checked. Anything else means unmounted or mounted again, and then everything is checked
 * again. `lacks` looks by one descriptor of the root, so that no unmount can come between what it sees.
 */
export function rootChecks(
  layout: Layout,
  facts: RootFile,
  host: GuardHost,
): Pick<RootGuard, 'mounted' | 'lacks'> {
  let verified = '';
  const identity = ({ device, inode }: FileStat) => `${device}:${inode}`;
  return {
    mounted: async () => {
      const seen = await statRootFile(layout, host);
      if (identity(seen) === verified) return;
      await requireMount(layout.root, host);
      const found = await readRootFile(layout, host);
      if (found?.rootId !== facts.rootId)
        throw new DriverError(
          'unavailable',
          `root ${layout.root} is not the one this server opened (${facts.rootId}, now ${found?.rootId ?? 'none'}); mount the file system that it had, or restart the driver on this node if the change is wanted`,
        );
      verified = identity(seen);
    },
    lacks: async (paths) => {
      const inside = paths.filter((path) => path.startsWith(`${layout.root}/`));
      const names = [layout.rootFile, ...inside].map((path) => relative(layout.root, path));
      const seen = await host.files.statsIn(layout.root, names).catch(() => []);
      const [rootFile, ...found] = seen;
      return rootFile !== undefined && identity(rootFile) === verified && found.includes(undefined);
    },
  };
}

async function statRootFile(layout: Layout, { files }: GuardHost): Promise<FileStat> {
  try {
    return await files.stat(layout.rootFile);
  } catch (error) {
    throw new DriverError(
      'unavailable',
      `root ${layout.root} cannot be used: its root.json is not there; is the file system mounted?`,
      error,
    );
  }
}
