import { isFault, messageOf } from '../../model/fault.ts';
import { parameterKeys } from '../../model/class/parameter-keys.ts';
import { REDACTED } from '../../observe/redact.ts';
import type { Records } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import { groupRecord } from '../../store/schema/groups.ts';
import { hiddenRecord, snapshotRecord } from '../../store/schema/parents.ts';
import { volumeRecord } from '../../store/schema/volume.ts';
import type { NameKind, Renamer } from './renamer.ts';

/** Most records of one kind that are read. */
const mostRecords = 20_000;

/** Fields that a kind of record has in this version; what is in another field is not known to be free of secrets. */
const kinds = [
  { kind: 'volumes', name: 'volume', fields: Object.keys(volumeRecord.shape) },
  { kind: 'snapshots', name: 'snapshot', fields: Object.keys(snapshotRecord.shape) },
  { kind: 'groups', name: 'group', fields: Object.keys(groupRecord.shape) },
  { kind: 'hidden', name: 'object', fields: Object.keys(hiddenRecord.shape) },
] as const;

type Kind = (typeof kinds)[number];

/** The records of a root, one a line, by kind, with what callers chose freely in them left out. */
export async function recordLines(store: RootStore): Promise<string> {
  const lines: string[] = [];
  for (const kind of kinds)
    for await (const record of recordsIn(store, kind))
      lines.push(JSON.stringify({ record: kind.kind, ...shown(record, kind) }, bigText));
  return `${lines.join('\n')}\n`;
}

const bigText = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value;

/** Teaches the names of a root, so that they are replaced in everything. */
export async function learnNames(store: RootStore, rename: Renamer): Promise<void> {
  for (const { node } of await store.nodes.all()) rename.learn('node', node);
  for (const kind of kinds)
    for await (const record of recordsIn(store, kind))
      for (const [what, name] of namesOf(record, kind.name)) rename.learn(what, name);
}

type AnyRecord = Readonly<Record<string, unknown>>;

async function* recordsIn(store: RootStore, { kind }: Kind): AsyncGenerator<AnyRecord> {
  const records: Pick<Records<AnyRecord>, 'shards' | 'ids' | 'readListed'> = store[kind];
  let read = 0;
  for (const shard of await records.shards())
    for (const [id, version] of await records.ids(shard)) {
      if (++read > mostRecords) {
        yield { id, note: `more than ${mostRecords} records: the rest was not read` };
        return;
      }
      yield await one(records, id, version);
    }
}

async function one(
  records: Pick<Records<AnyRecord>, 'readListed'>,
  id: string,
  version: number,
): Promise<AnyRecord> {
  try {
    return (await records.readListed(id, version))?.value ?? { id, note: 'gone meanwhile' };
  } catch (error) {
    if (!isFault(error, 'unreadable-record')) throw error;
    return { id, note: messageOf(error) };
  }
}

/** A record without texts that a class, an administrator or another version of the driver put there. */
function shown(record: AnyRecord, { fields }: Kind): AnyRecord {
  const known: readonly string[] = [...fields, 'note'];
  return Object.fromEntries(
    Object.entries(record).map(([field, value]) => [
      field,
      known.includes(field) ? inner(field, value) : REDACTED,
    ]),
  );
}

/** Maps with keys of callers, and texts that hold mount flags. */
function inner(field: string, value: unknown): unknown {
  if (field === 'parameters' || field === 'context') return ownKeys(value);
  if (field === 'flags' || field === 'capabilities') return flagsOf(value);
  if (Array.isArray(value)) return value.map((each) => inner('', each));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inner(key, item)]));
}

const plainValue = /^[\w.:/@+, -]{0,253}$/;

const ownKeys = (map: unknown): unknown =>
  typeof map !== 'object' || map === null
    ? map
    : Object.fromEntries(
        Object.entries(map).map(([key, value]: [string, unknown]) => [
          key,
          Object.hasOwn(parameterKeys, key) && typeof value === 'string' && plainValue.test(value)
            ? value
            : REDACTED,
        ]),
      );

/** A mount flag keeps its name and loses its value. */
const flagsOf = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map((each) =>
        typeof each === 'string' ? each.replace(/=[^,\s"'\]]+/g, `=${REDACTED}`) : REDACTED,
      )
    : value;

function namesOf(record: AnyRecord, kind: NameKind): readonly (readonly [NameKind, string])[] {
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const kubernetes = (record['kubernetes'] ?? {}) as AnyRecord;
  const attachments = Array.isArray(record['attachments'])
    ? (record['attachments'] as readonly AnyRecord[])
    : [];
  return [
    [kind, text(record['id'])],
    [kind, text(record['name'])],
    ['volume', text(record['volume'])],
    ['claim', text(kubernetes['name'])],
    ['namespace', text(kubernetes['namespace'])],
    ...attachments.map(({ node }) => ['node', text(node)] as const),
  ];
}
