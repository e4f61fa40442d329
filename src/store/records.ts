import { join } from 'node:path';
import type { z } from 'zod';
import { DriverError, isFault, raced } from '../model/fault.ts';
import type { Nonce } from '../run/clock.ts';
import { errnoOf, undefinedWhenMissing, type Files } from '../run/files.ts';
import { makeIn } from '../run/directories.ts';
import { type BadFiles, fromText, toText, unreadable } from './json.ts';
import {
  highestVersions,
  isRecordIn,
  isShardName,
  largestVersion,
  parseVersionName,
  versionName,
  type Layout,
  type RecordKind,
} from './layout.ts';
import type { Claim } from './schema/claim.ts';

/** A record as it was read: a server that holds the highest version may try to write the next. */
export interface Held<T> {
  readonly id: string;
  /** 0: nothing is there. */
  readonly version: number;
  readonly value: T;
}

/** How much of a power cut a write must survive before it resolves: its text, or its name in the directory too. */
export type Durability = 'text' | 'name';

/** What a record keeps of the operations on it; nothing for kinds that keep none. */
export interface Remembering<T> {
  append(before: T | undefined, after: T): T;
  failing(claim: Claim, error: unknown): void;
}

/** Records of one kind. All writes are compare-and-swap; the writer that loses gets `busy`. */
export interface Records<T> {
  /** The highest version, or undefined when there is none. */
  read(id: string): Promise<Held<T> | undefined>;
  /** The version that a listing named; when it is gone by now, the highest there is. */
  readListed(id: string, version: number): Promise<Held<T> | undefined>;
  /** Writes the version after `held`; `undefined` means that nothing was there. */
  swap(id: string, held: Held<T> | undefined, value: T, durability?: Durability): Promise<Held<T>>;
  /**
   * Reads, changes, swaps; again when another writer came between. `change` may throw to give up. `start`
   * saves the first read where the caller has what it wrote last.
   */
  update(
    id: string,
    change: (value: T) => T,
    durability?: Durability,
    start?: Held<T>,
  ): Promise<Held<T>>;
  /** Keeps why work under a claim failed, for the version that ends or releases the claim. */
  failing(claim: Claim, error: unknown): void;
  /** When this version was written; undefined where it is not there any more. */
  writtenMs(held: Held<T>): Promise<number | undefined>;
  /** Removes what was read and what came before it; a version that another writer made since stays. */
  forget(held: Held<T>): Promise<void>;
  /** Shards in order. */
  shards(): Promise<readonly string[]>;
  /** Ids in one shard, sorted, each with its highest version. */
  ids(shard: string): Promise<ReadonlyMap<string, number>>;
}

export interface RecordsOptions<T> {
  readonly files: Files;
  /**
   * For names of a temporary file that was made under guard a moment ago, and of versions that were just
   * listed beside it: on another file system neither is there, so there is nothing to guard.
   */
  readonly unguarded: Pick<Files, 'link' | 'unlink'>;
  readonly layout: Layout;
  /** Called before "there is none" counts where a directory was listed: it may lie below an unmounted root. */
  readonly check: () => Promise<void>;
  readonly kind: RecordKind;
  readonly schema: z.ZodType<T>;
  readonly nonce: Nonce;
  /** Where shards are noted that cannot be listed; the others are listed without them. */
  readonly bad: BadFiles;
  readonly history?: Remembering<NoInfer<T>> | undefined;
  /** Called with each record that was read by its id. */
  readonly seen?: ((record: NoInfer<T>) => void) | undefined;
}

const attempts = 20;

/** The records of one kind in one root. */
export function recordsOf<T extends object>(options: RecordsOptions<T>): Records<T> {
  const { files, layout, kind, history } = options;
  const shardPath = (id: string) => layout.recordShard(kind, id);

  const read = (id: string) => readAndShow(options, id);

  const swap: Records<T>['swap'] = async (id, held, value, durability = 'text') => {
    const version = (held?.version ?? 0) + 1;
    const kept = history ? history.append(held?.value, value) : value;
    await writeVersion(options, id, version, toText(kept));
    if (durability === 'name') await files.syncDirectory(shardPath(id));
    return { id, version, value: kept };
  };

  return {
    read,
    readListed: (id, version) => readListed(options, id, version),
    swap,
    update: async (id, change, durability, start) => {
      for (let attempt = 0; attempt < attempts; attempt++) {
        const held = attempt === 0 && start ? start : await read(id);
        if (!held) throw lost(id);
        const done = await swap(id, held, change(held.value), durability).catch(undefinedWhenLost);
        if (done) return done;
      }
      throw lost(id);
    },
    failing: (claim, error) => history?.failing(claim, error),
    writtenMs: async ({ id, version }) => {
      const path = join(shardPath(id), versionName(id, version));
      return (await files.stat(path).catch(undefinedWhenMissing))?.modifiedMs;
    },
    forget: async ({ id, version: last }) => {
      const versions = versionsOf(await listed(files, shardPath(id)), id);
      // Lowest first: an old version must never be the highest one.
      for (const version of versions.filter((each) => each <= last))
        await files
          .unlink(join(shardPath(id), versionName(id, version)))
          .catch(undefinedWhenMissing);
    },
    shards: async () => (await files.list(layout.records(kind))).filter(isShardName),
    ids: (shard) => idsIn(options, shard),
  };
}

async function idsIn<T>(
  { files, layout, kind, bad }: RecordsOptions<T>,
  shard: string,
): Promise<ReadonlyMap<string, number>> {
  try {
    const found = highestVersions(await listed(files, join(layout.records(kind), shard)));
    return new Map([...found].filter(([id]) => isRecordIn(kind, shard, id)));
  } catch (error) {
    if (!isFault(error, 'unreadable-record')) throw error;
    bad.note(error);
    return new Map();
  }
}

async function readAndShow<T>(
  options: RecordsOptions<T>,
  id: string,
): Promise<Held<T> | undefined> {
  const held = await readHighest(options, id);
  if (held) options.seen?.(held.value);
  return held;
}

async function readHighest<T>(
  options: RecordsOptions<T>,
  id: string,
): Promise<Held<T> | undefined> {
  const { files, layout, kind, check } = options;
  const shard = layout.recordShard(kind, id);
  for (let attempt = 0; attempt < attempts; attempt++) {
    const names = await files.list(shard).catch(undefinedWhenMissing);
    if (!names) return undefined;
    const version = highestVersions(names).get(id);
    if (version === undefined) {
      await check();
      return undefined;
    }
    refuseNumber(shard, names, id);
    const path = join(shard, versionName(id, version));
    // A version may be swept between the listing and the read: then there is a higher one.
    const text = await files.read(path).catch(undefinedWhenMissing);
    if (text !== undefined) return { id, version, value: parsed(options, id, { text, path }) };
  }
  throw lost(id);
}

/** After such a version none could be written, so the object would be busy permanently. */
function refuseNumber(shard: string, names: readonly string[], id: string): void {
  const far = names.find((name) => {
    const found = parseVersionName(name);
    return found?.id === id && found.version > largestVersion;
  });
  if (far !== undefined)
    throw unreadable(
      join(shard, far),
      `no server writes version ${far.slice(far.lastIndexOf('.') + 1)}`,
    );
}

function parsed<T>(
  { schema }: Pick<RecordsOptions<T>, 'schema'>,
  id: string,
  { text, path }: { readonly text: string; readonly path: string },
): T {
  const value = fromText(schema, text, path);
  const own = typeof value === 'object' && value !== null && 'id' in value ? value.id : id;
  if (own !== id) throw unreadable(path, `it says it is of ${String(own)}`);
  return value;
}

async function readListed<T>(
  options: RecordsOptions<T>,
  id: string,
  version: number,
): Promise<Held<T> | undefined> {
  const { files, layout, kind } = options;
  if (version > largestVersion) return readHighest(options, id);
  const path = join(layout.recordShard(kind, id), versionName(id, version));
  const text = await files.read(path).catch(undefinedWhenMissing);
  if (text === undefined) return readHighest(options, id);
  return { id, version, value: parsed(options, id, { text, path }) };
}

const listed = (files: Files, directory: string): Promise<readonly string[]> =>
  files.list(directory).catch(emptyWhenMissing);

/**
 * Makes version `version` of a record, or throws `busy`. link(2) decides: of two writers one gets EEXIST. A
 * writer that slept so long that its version was written, followed and swept finds the higher one afterwards.
 */
async function writeVersion<T>(
  { files, unguarded, layout, kind, nonce }: RecordsOptions<T>,
  id: string,
  version: number,
  text: string,
): Promise<void> {
  const shard = layout.recordShard(kind, id);
  const temporary = join(layout.temporary, `${versionName(id, version)}-${nonce()}`);
  await files.createDurable(temporary, text, 0o640);
  try {
    const path = join(shard, versionName(id, version));
    await makeIn(files, shard, () => unguarded.link(temporary, path));
    const names = await files.list(shard);
    if (!isNext(names, id, version)) {
      await unguarded.unlink(path).catch(undefinedWhenMissing);
      throw lost(id);
    }
    for (const old of versionsOf(names, id).filter((each) => each < version))
      await unguarded.unlink(join(shard, versionName(id, old))).catch(() => undefined);
  } catch (error) {
    throw errnoOf(error) === 'EEXIST' ? lost(id, error) : error;
  } finally {
    await unguarded.unlink(temporary).catch(() => undefined);
  }
}

/**
 * Whether the version just made follows the one it was made from. Only the writer of a version removes those
 * before it, so a missing predecessor means that others wrote later versions, or that the record was forgotten.
 */
function isNext(names: readonly string[], id: string, version: number): boolean {
  const versions = versionsOf(names, id);
  return versions.at(-1) === version && (version === 1 || versions.at(-2) === version - 1);
}

/** Versions of one record in a listing, lowest first. */
const versionsOf = (names: readonly string[], id: string): readonly number[] =>
  names
    .flatMap((name) => parseVersionName(name) ?? [])
    .flatMap((found) => (found.id === id ? [found.version] : []))
    .sort((a, b) => a - b);

const lost = (id: string, cause?: unknown): DriverError =>
  raced(`${id} changed while this request was at work on it; try again`, cause);

const undefinedWhenLost = (error: unknown): undefined => {
  if (error instanceof DriverError && error.fault.kind === 'busy') return undefined;
  throw error;
};

const emptyWhenMissing = (error: unknown): readonly string[] => {
  if (errnoOf(error) === 'ENOENT') return [];
  throw error;
};
