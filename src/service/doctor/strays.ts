import { basename, join } from 'node:path';
import type { z } from 'zod';
import type { BrokenFact } from '../../model/audit/facts.ts';
import { isFault } from '../../model/fault.ts';
import type { Clock } from '../../run/clock.ts';
import { undefinedWhenMissing } from '../../run/files.ts';
import { inParallel } from '../../run/parallel.ts';
import { fromText } from '../../store/json.ts';
import {
  isItemName,
  isKey,
  isRecordIn,
  isShardName,
  parseVersionName,
  type RecordKind,
} from '../../store/layout.ts';
import type { RootStore } from '../../store/root.ts';
import { barredFile } from '../../store/schema/barred.ts';
import { leaseRecord, queueItem } from '../../store/schema/queue.ts';
import { markFile, nodeFile } from '../../store/schema/root.ts';
import { brokenFact } from './record-facts.ts';

/** What is in the driver's state and does not belong there, and files of it that cannot be read. */
export interface Strays {
  readonly strays: readonly string[];
  readonly broken: readonly BrokenFact[];
}

type IsName = (name: string, above: string) => boolean;

/** One directory of the state: what the names in it are, level by level, and what is in the files. */
interface Place {
  readonly at: string;
  readonly names: readonly IsName[];
  /** Records have readers of their own. */
  readonly schema?: z.ZodType;
}

const isJson: IsName = (name) => /^[A-Za-z0-9][A-Za-z0-9_-]*\.json$/.test(name);

const isVersionOf =
  (kind: RecordKind): IsName =>
  (name, shard) => {
    const id = parseVersionName(name)?.id;
    return id !== undefined && isRecordIn(kind, shard, id);
  };

const kinds: readonly RecordKind[] = ['volumes', 'snapshots', 'groups', 'hidden'];

const places: readonly Place[] = [
  ...kinds.map((kind) => ({ at: `records/${kind}`, names: [isShardName, isVersionOf(kind)] })),
  { at: 'records/leases', names: [isShardName, isVersionOf('leases')], schema: leaseRecord },
  { at: 'nodes', names: [isJson], schema: nodeFile },
  { at: 'marks', names: [isShardName, isKey, isJson], schema: markFile },
  { at: 'edges', names: [isShardName, isKey, isKey] },
  { at: 'queue/ready', names: [isItemName] },
  { at: 'queue/waiting', names: [isItemName], schema: queueItem },
  { at: 'barred', names: [isKey], schema: barredFile },
  { at: 'copies', names: [(name) => name.split('@').length === 3] },
  { at: 'moved', names: [isItemName] },
];

/** Walks through the state of a root by its names; links are not followed, and only files with JSON are read. */
export async function straysIn(store: RootStore, clock: Clock): Promise<Strays> {
  const found = await Promise.all(places.map((place) => walk(store, clock, place)));
  return {
    strays: found.flatMap(({ strays }) => strays),
    broken: found.flatMap(({ broken }) => broken),
  };
}

async function walk(store: RootStore, clock: Clock, place: Place): Promise<Strays> {
  const strays: string[] = [];
  let paths: readonly string[] = [join(store.layout.state, place.at)];
  for (const isName of place.names) {
    const next = await inParallel(paths, 16, async (path) => {
      const names = await listed(store, path);
      if (!names) strays.push(path);
      const [own, other] = split(names ?? [], (name) => isName(name, basename(path)));
      strays.push(...other.map((name) => join(path, name)));
      return own.map((name) => join(path, name));
    });
    paths = next.flat();
  }
  const { schema } = place;
  const read = schema
    ? await inParallel(paths, 16, (path) => unread(store, clock, path, schema))
    : [];
  return { strays, broken: read.flatMap((each) => each ?? []) };
}

const split = (names: readonly string[], isOwn: (name: string) => boolean) =>
  [names.filter(isOwn), names.filter((name) => !isOwn(name))] as const;

/** The names in a directory, none where it is not there; undefined where it is no directory. */
async function listed(store: RootStore, path: string): Promise<readonly string[] | undefined> {
  try {
    return (await store.files.list(path).catch(undefinedWhenMissing)) ?? [];
  } catch (error) {
    if (!isFault(error, 'unreadable-record')) throw error;
    return undefined;
  }
}

async function unread(
  store: RootStore,
  clock: Clock,
  path: string,
  schema: z.ZodType,
): Promise<BrokenFact | undefined> {
  try {
    const text = await store.files.read(path).catch(undefinedWhenMissing);
    if (text !== undefined) fromText(schema, text, path);
    return undefined;
  } catch (error) {
    if (!isFault(error, 'unreadable-record')) throw error;
    return brokenFact(store, clock, error);
  }
}
