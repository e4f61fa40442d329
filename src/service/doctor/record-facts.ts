import { join, relative } from 'node:path';
import type { BrokenFact, ClaimFact, RecordFact } from '../../model/audit/facts.ts';
import { isFault } from '../../model/fault.ts';
import type { Clock } from '../../run/clock.ts';
import { undefinedWhenMissing } from '../../run/files.ts';
import { largestVersion, parseVersionName, type RecordKind } from '../../store/layout.ts';
import type { Records } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import type { GroupRecord } from '../../store/schema/groups.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { inParallel } from '../../run/parallel.ts';

/** The content of a root's records, and those that cannot be read. */
export interface ReadRecords {
  readonly records: readonly RecordFact[];
  readonly broken: readonly BrokenFact[];
}

const rethrow = (error: unknown): never => {
  throw error;
};

type Read = RecordFact | BrokenFact | undefined;

/** The version comes from the name of the file. */
type Fact = Omit<RecordFact, 'version'>;

/** Reads every record once; one that is damaged does not stop the others from being read. */
export async function readRecords(store: RootStore, clock: Clock): Promise<ReadRecords> {
  const read: readonly Read[] = [
    ...(await readKind(store, clock, {
      kind: 'volumes',
      records: store.volumes,
      fact: volumeFact,
    })),
    ...(await readKind(store, clock, {
      kind: 'snapshots',
      records: store.snapshots,
      fact: snapshotFact,
    })),
    ...(await readKind(store, clock, { kind: 'groups', records: store.groups, fact: groupFact })),
    ...(await readKind(store, clock, { kind: 'hidden', records: store.hidden, fact: hiddenFact })),
  ];
  return {
    records: read.filter((each) => each !== undefined && 'state' in each),
    broken: read.filter((each) => each !== undefined && 'path' in each),
  };
}

/** One kind of record, and how a fact is made of each. */
interface KindReading<T> {
  readonly kind: RecordKind;
  readonly records: Records<T>;
  readonly fact: (store: RootStore, value: T) => Promise<Fact>;
}

async function readKind<T extends { readonly id: string }>(
  store: RootStore,
  clock: Clock,
  { kind, records, fact }: KindReading<T>,
): Promise<readonly Read[]> {
  // Roots of earlier versions have no directory for groups.
  const all = await records.shards().catch(kind === 'groups' ? undefinedWhenMissing : rethrow);
  const shards = await inParallel(all ?? [], 16, async (shard) => [...(await records.ids(shard))]);
  return inParallel(shards.flat(), 16, async ([id, version]): Promise<Read> => {
    try {
      const held = await records.readListed(id, version);
      return held && { ...(await fact(store, held.value)), version: held.version };
    } catch (error) {
      if (!isFault(error, 'unreadable-record')) throw error;
      return {
        ...(await brokenFact(store, clock, error)),
        id,
        ...(await lowerThan(store, { kind, id, version })),
      };
    }
  });
}

/** A file that could not be read, from the error that says so. */
export async function brokenFact(
  store: RootStore,
  clock: Clock,
  { message }: Error,
): Promise<BrokenFact> {
  const [, path = '', why = message] =
    /^record (.*?) cannot be read \((.*)\);/s.exec(message) ?? [];
  const stat = await store.files.stat(path).catch(() => undefined);
  return {
    path,
    why,
    newer: why.includes('has format'),
    ageMs: clock.now() - (stat?.changedMs ?? clock.now()),
    in: relative(store.layout.state, path).split('/')[0] ?? '',
  };
}

/** Lower versions of a record. Beside a number that no server writes, they are not older than it. */
async function lowerThan(
  store: RootStore,
  {
    kind,
    id,
    version,
  }: { readonly kind: RecordKind; readonly id: string; readonly version: number },
): Promise<{ readonly older: readonly string[] }> {
  const shard = store.layout.recordShard(kind, id);
  const names = version > largestVersion ? [] : await store.files.list(shard);
  const lower = names.filter((name) => {
    const found = parseVersionName(name);
    return found?.id === id && found.version < version;
  });
  return { older: lower.map((name) => join(shard, name)) };
}

const volumeFact = async (store: RootStore, record: VolumeRecord): Promise<Fact> => ({
  kind: 'volume',
  id: record.id,
  state: record.state,
  data: 'volumes',
  key: record.image?.key,
  inode: record.image?.inode,
  parent: record.parent,
  bytes: record.bytes,
  claim: await claimFact(store, record.claim),
  retype: await claimFact(store, record.retype),
});

const snapshotFact = async (store: RootStore, record: SnapshotRecord): Promise<Fact> => ({
  kind: 'snapshot',
  id: record.id,
  state: record.state,
  data: 'snapshots',
  key: record.file?.key,
  inode: record.file?.inode,
  parent: record.parent,
  bytes: record.bytes,
  claim: await claimFact(store, record.claim),
  attempt: record.group && `${record.group.id} ${record.group.attempt}`,
});

const groupFact = async (store: RootStore, record: GroupRecord): Promise<Fact> => ({
  kind: 'group',
  id: record.id,
  state: record.state,
  data: 'snapshots',
  key: undefined,
  inode: undefined,
  parent: null,
  bytes: 0n,
  claim: await claimFact(store, record.claim),
  attempt: `${record.id} ${record.attempt}`,
  members: record.members.map(({ snapshot }) => snapshot),
});

const hiddenFact = async (store: RootStore, record: HiddenRecord): Promise<Fact> => ({
  kind: 'hidden',
  id: record.id,
  state: record.state,
  data: record.data,
  key: record.id,
  inode: undefined,
  parent: record.parent,
  bytes: record.bytes,
  claim: await claimFact(store, record.claim),
});

async function claimFact(store: RootStore, claim: Claim | null): Promise<ClaimFact | undefined> {
  if (!claim) return undefined;
  const { parent, image, fenced, from, to, fill } = claim;
  // The source of a fill may lie in another root: then no file here has that key.
  const keys = [parent, image, fenced, from, to, fill?.from?.key].flatMap((key) => key ?? []);
  return { op: claim.op, node: claim.node, keys, fate: await store.nodes.fateOf(claim) };
}
