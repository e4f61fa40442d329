import { dirname } from 'node:path';
import type { z } from 'zod';
import { DriverError, isFault, messageOf } from '../model/fault.ts';
import { silentLog, type Log } from '../observe/log.ts';
import { errnoOf, type Files, type FileStat } from '../run/files.ts';
import { recordFormat } from './schema/data.ts';

/** A record as text: readable, one field a line, sizes and inodes as decimal strings. */
export const toText = (value: object): string =>
  `${JSON.stringify(value, (_, field: unknown) => (typeof field === 'bigint' ? String(field) : field), 1)}\n`;

/** Reads a record. Throws unreadable-record naming the path; what is on disk stays as it is. */
export function fromText<T>(schema: z.ZodType<T>, text: string, path: string): T {
  const parsed = schema.safeParse(parseJson(text, path));
  if (!parsed.success) throw unreadable(path, parsed.error.issues[0]?.message, parsed.error);
  return parsed.data;
}

function parseJson(text: string, path: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    refuseNewer(value, path);
    return value;
  } catch (error) {
    if (error instanceof DriverError) throw error;
    throw unreadable(path, 'it is not JSON', error);
  }
}

function refuseNewer(value: unknown, path: string): void {
  const format =
    typeof value === 'object' && value !== null && 'format' in value ? value.format : 0;
  if (typeof format === 'number' && format > recordFormat)
    throw unreadable(
      path,
      `it has format ${format}, this version knows up to ${recordFormat}; upgrade the driver`,
    );
}

/** The error for a file of the driver that is damaged, of another kind, or of a newer format. */
export const unreadable = (path: string, why: string | undefined, cause?: unknown): DriverError =>
  new DriverError(
    'unreadable-record',
    `record ${path} cannot be read (${why ?? 'unknown reason'}); it was left as it is, and gpfs-csi doctor says what to do`,
    cause,
  );

const kinds: Readonly<Record<FileStat['kind'], string>> = {
  file: 'a file',
  directory: 'a directory',
  symlink: 'a symbolic link',
  block: 'a block device',
  other: 'a special file',
};

/** For `.catch` of a read: throws unreadable-record where it is the file that is wrong, else the error itself. */
export const refuseOther =
  (files: Files, path: string, wanted: FileStat['kind']) =>
  async (error: unknown): Promise<never> => {
    const code = errnoOf(error) ?? '';
    if (code === 'ENOENT') throw error;
    const why = whyOf[code];
    if (why !== undefined) throw unreadable(path, why, error);
    const found = await firstThere(files, path);
    const isWrong = found?.path === path ? found.kind !== wanted : code === 'ENOTDIR';
    if (found && isWrong) throw unreadable(found.path, `it is ${kinds[found.kind]}`, error);
    throw error;
  };

const whyOf: Readonly<Record<string, string | undefined>> = {
  EFBIG: 'it is larger than 1 MiB',
  EACCES: 'the driver may not open it',
};

/** The path, or the nearest part of it that exists. */
async function firstThere(
  files: Files,
  path: string,
): Promise<{ readonly path: string; readonly kind: FileStat['kind'] } | undefined> {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    const kind = (await files.stat(at).catch(() => undefined))?.kind;
    if (kind !== undefined) return { path: at, kind };
  }
  return undefined;
}

/** Files of a root that cannot be read. What lists or sweeps goes on without them and notes each here. */
export interface BadFiles {
  /** Writes one line into the log for each file and reason, however often it is met. */
  note(error: Error): void;
}

/** The most files that are remembered; beyond that the oldest is logged again. */
const most = 1000;

/** The bad files that this process has met in one root. */
export function badFilesOf(root: string, log: Log = silentLog): BadFiles {
  const noted = new Set<string>();
  return {
    note: (error) => {
      const says = messageOf(error);
      if (noted.has(says)) return;
      const [oldest] = noted;
      if (noted.size >= most && oldest !== undefined) noted.delete(oldest);
      noted.add(says);
      log.error({ root, error }, 'a file cannot be read and is left out; the rest goes on');
    },
  };
}

/** For `.catch`: notes a file that cannot be read, and resolves to a word; throws every other error again. */
export const noteUnreadable =
  (bad: BadFiles) =>
  (error: unknown): 'unreadable' => {
    if (!isFault(error, 'unreadable-record')) throw error;
    bad.note(error);
    return 'unreadable';
  };

/** The same, where a file that cannot be read is left out as if it were not there. */
export const undefinedWhenUnreadable =
  (bad: BadFiles) =>
  (error: unknown): undefined =>
    void noteUnreadable(bad)(error);
