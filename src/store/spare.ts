import { join } from 'node:path';
import { DriverError, isFault } from '../model/fault.ts';
import type { Nonce } from '../run/clock.ts';
import { errnoOf, undefinedWhenMissing, type Files } from '../run/files.ts';
import { ignoring } from './edges.ts';
import type { Layout } from './layout.ts';

/**
 * What a root keeps for the time when its file system is full. A `file` becomes a new version of a record: it is
 * renamed and written in its place, so it needs neither an inode nor a block, and no other writer can take either. A
 * `directory` becomes a shard in the same way. A `space` is removed where a directory needs a block for a new name.
 */
const parts = [
  { kind: 'file', count: 128, bytes: 8192 },
  { kind: 'directory', count: 32, bytes: 0 },
  { kind: 'space', count: 16, bytes: 65_536 },
] as const;
type Kind = (typeof parts)[number]['kind'];

/** Names of all spare files and directories, each with its kind and bytes. */
const whole = parts.flatMap(({ kind, count, bytes }) =>
  Array.from({ length: count }, (_, n) => ({ name: `${kind}-${n}`, kind, bytes })),
);

/** How many of the spare files of a root are there. */
export interface SpareLevel {
  readonly there: number;
  readonly of: number;
}

/** The spare files of one root. */
export interface Spares {
  /** Makes the missing parts while there is space; without space it stops, and the next call continues. */
  fill(): Promise<SpareLevel>;
  level(): Promise<SpareLevel>;
}

/** What the spare files of a root work with. */
export interface SpareHost {
  readonly files: Files;
  readonly layout: Layout;
  readonly nonce: Nonce;
}

/** The spare files kept in one root. */
export function sparesOf(host: SpareHost): Spares {
  const level = async (): Promise<SpareLevel> => ({
    there: whole.length - (await missingParts(host)).length,
    of: whole.length,
  });
  return {
    level,
    fill: async () => {
      try {
        await host.files.makeDirectory(host.layout.spare, 0o750);
        await makeMissing(host);
      } catch (error) {
        if (!isFault(error, 'no-space')) throw error;
      }
      return level();
    },
  };
}

const partsIn = async ({ files, layout }: SpareHost): Promise<readonly string[]> =>
  (await files.list(layout.spare).catch(undefinedWhenMissing)) ?? [];

async function missingParts(host: SpareHost): Promise<readonly (typeof whole)[number][]> {
  const there = new Set(await partsIn(host));
  return whole.filter(({ name }) => !there.has(name));
}

/** Other servers may be filling it too: what they made is listed again after each few parts. */
async function makeMissing(host: SpareHost): Promise<void> {
  const { files, layout, nonce } = host;
  for (;;) {
    const missing = await missingParts(host);
    if (missing.length === 0) return;
    for (const { name, kind, bytes } of missing.slice(0, 16)) {
      const path = join(layout.spare, name);
      if (kind === 'directory') await files.makeDirectory(path, 0o750);
      else {
        // Whole before it has its name: a part that was cut short would need a block later.
        const temporary = join(layout.temporary, `spare-${nonce()}`);
        await files.createDurable(temporary, filler(bytes), 0o640);
        await files.rename(temporary, path);
      }
    }
  }
}

const about =
  'The driver keeps this file so that volumes and snapshots can be deleted while the file system is full.\n';
const filler = (bytes: number): string => about.padEnd(bytes, '.');

/**
 * The same calls, for work that frees space: those that need some take it from the spare files where the file system has
 * none. Throws no-space once these are used up too.
 */
export function withSpares(host: SpareHost): Files {
  const { files } = host;
  const roomy = <T>(action: () => Promise<T>): Promise<T> => withSpace(host, action);
  return {
    ...files,
    ...newFiles(host),
    makeDirectory: (path, mode) =>
      otherwise(
        () => files.makeDirectory(path, mode),
        async () => {
          if (await take(host, 'directory', path)) return;
          await roomy(() => files.makeDirectory(path, mode));
        },
      ),
    link: (existing, path) => roomy(() => files.link(existing, path)),
    rename: (from, to) => roomy(() => files.rename(from, to)),
    unlink: (path) => roomy(() => files.unlink(path)),
    removeDirectory: (path) => roomy(() => files.removeDirectory(path)),
    touch: (path) => roomy(() => files.touch(path)),
  };
}

/** New files from spare ones. */
function newFiles(host: SpareHost): Pick<Files, 'createDurable' | 'createSparse'> {
  const { files, layout, nonce } = host;
  const createDurable: Files['createDurable'] = (path, text, mode) =>
    otherwise(
      () => files.createDurable(path, text, mode),
      async () => {
        if (!(await take(host, 'file', path)))
          return withSpace(host, () => files.createDurable(path, text, mode));
        await withSpace(host, () => files.overwrite(path, text)).catch(async (error: unknown) => {
          await files.unlink(path).catch(undefinedWhenMissing);
          throw error;
        });
      },
    );
  return {
    createDurable,
    createSparse: (path, size, mode) =>
      otherwise(
        () => files.createSparse(path, size, mode),
        async () => {
          // A link, as another server may make the same name: a rename would replace what that server made.
          const temporary = join(layout.temporary, `sparse-${nonce()}`);
          await createDurable(temporary, '', mode);
          try {
            await withSpace(host, () => files.link(temporary, path));
          } finally {
            await ignoring(files.unlink(temporary), 'ENOENT');
          }
          return files.grow(path, size);
        },
      ),
  };
}

/** Where the first call finds no space, the second. */
async function otherwise<T>(usual: () => Promise<T>, without: () => Promise<T>): Promise<T> {
  try {
    return await usual();
  } catch (error) {
    if (!isFault(error, 'no-space')) throw error;
    return without();
  }
}

/** Names in random order, so that two servers seldom want the same part. */
async function candidates(host: SpareHost, kind: Kind): Promise<readonly string[]> {
  const names = (await partsIn(host)).filter((name) => name.startsWith(`${kind}-`));
  const from = names.length === 0 ? 0 : parseInt(host.nonce().slice(0, 8), 16) % names.length;
  return [...names.slice(from), ...names.slice(0, from)].map((name) =>
    join(host.layout.spare, name),
  );
}

/** Gives a spare file this path; false where none is left. */
async function take(host: SpareHost, kind: Kind, path: string): Promise<boolean> {
  const { files } = host;
  for (const part of await candidates(host, kind))
    try {
      // It may be months old, and the sweep removes old files from where it goes.
      await files.touch(part);
      await withSpace(host, () => files.rename(part, path));
      return true;
    } catch (error) {
      const code = errnoOf(error) ?? '';
      // Another server has made the directory, and put something into it.
      if (kind === 'directory' && ['ENOTEMPTY', 'EEXIST'].includes(code)) return true;
      // Another server has taken this part.
      if (code !== 'ENOENT') throw error;
    }
  return false;
}

/** Repeats the action while it finds no space and there is a spare file to remove for it. */
async function withSpace<T>(host: SpareHost, action: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await action();
    } catch (error) {
      if (!isFault(error, 'no-space')) throw error;
      if (!(await release(host))) throw usedUp(host, error);
    }
}

async function release(host: SpareHost): Promise<boolean> {
  for (const part of await candidates(host, 'space'))
    try {
      await host.files.unlink(part);
      return true;
    } catch (error) {
      // Another server was faster.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  return false;
}

const usedUp = ({ layout }: SpareHost, cause: unknown): DriverError =>
  new DriverError(
    'no-space',
    `the file system has no space, inodes or quota left, and the spare files of root ${layout.root} are used up; remove a file that is not the driver's or raise the limit by 4 MiB and 300 inodes, then try again`,
    cause,
  );
