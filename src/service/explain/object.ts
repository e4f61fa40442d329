import { join } from 'node:path';
import type {
  AttachmentFacts,
  ClaimFacts,
  FileFacts,
  LocalFacts,
  ObjectFacts,
  QueueFacts,
} from '../../model/explain/facts.ts';
import { ownerOfKey, type FileKey } from '../../model/ids.ts';
import { undefinedWhenMissing } from '../../run/files.ts';
import { versionName, type DataKind } from '../../store/layout.ts';
import { isDeadMark } from '../../store/marks.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';
import { handleOf, keyOf, kindWords, type FoundObject } from '../finder/found.ts';
import { localFacts } from './here.ts';
import type { ExplainHost } from './host.ts';
import { placeFacts } from './place.ts';

/** Called with why a part could not be read; the other parts are said all the same. */
type OnProblem = (error: unknown) => void;

/** All that the root and this node say of one object. */
export async function objectFacts(
  host: ExplainHost,
  object: FoundObject,
  onProblem: OnProblem,
): Promise<ObjectFacts> {
  const { store } = object;
  const part = <T>(read: () => Promise<T>, none: T): Promise<T> =>
    read().catch((error: unknown) => {
      onProblem(error);
      return none;
    });
  const key = keyOf(object) as FileKey | undefined;
  const place = await part(() => placeFacts(host, store, key), undefined);
  const file = await part(() => fileFacts(object, key), undefined);
  const here = await part(() => hereOf(host, object), undefined);
  return {
    ...identity(object),
    ...(file ? { file } : {}),
    ...classOf(object),
    attachments: await part(() => attachmentsOf(object), []),
    marks: key === undefined ? [] : await part(() => marksOf(store, key), []),
    claims: await part(() => claimsOf(object), []),
    barred: await part(() => barredOf(object), []),
    ...(place ? { tree: place } : {}),
    queue: await part(() => queueOf(store, object.held.id, key), []),
    history: historyOf(object),
    ...(here ? { here } : {}),
  };
}

const nameless = { kubernetes: undefined, deletedMs: undefined };

const recordKinds = { volume: 'volumes', snapshot: 'snapshots', 'clone parent': 'hidden' } as const;

function identity(object: FoundObject) {
  const { kind, store, held } = object;
  const { value, version } = held;
  const shard = store.layout.recordShard(recordKinds[kind], held.id);
  const { kubernetes: named, deletedMs } = kind === 'clone parent' ? nameless : held.value;
  return {
    kind: kindWords(object),
    ...(named ? { kubernetes: { namespace: named.namespace, name: named.name } } : {}),
    name: nameOf(object),
    handle: handleOf(object),
    root: { path: store.layout.root, id: store.id },
    record: { path: join(shard, versionName(held.id, version)), version, state: value.state },
    createdMs: value.createdMs,
    ...(deletedMs === undefined ? {} : { deletedMs }),
    bytes: Number(value.bytes),
  } as const;
}

function nameOf({ kind, held }: FoundObject): string {
  if (kind === 'clone parent') return ownerOfKey(held.value.id);
  const golden = kind === 'snapshot' ? held.value.golden?.name : undefined;
  return golden ?? held.value.name;
}

function dataKind({ kind, held }: FoundObject): DataKind {
  if (kind === 'clone parent') return held.value.data;
  return kind === 'volume' ? 'volumes' : 'snapshots';
}

/** The inode that the record names; clone parents have none in theirs. */
function recordedInode({ kind, held }: FoundObject): bigint | undefined {
  if (kind === 'clone parent') return undefined;
  return kind === 'volume' ? held.value.image?.inode : held.value.file?.inode;
}

async function fileFacts(
  object: FoundObject,
  key: FileKey | undefined,
): Promise<FileFacts | undefined> {
  if (key === undefined) return undefined;
  const { store } = object;
  const path = store.layout.data(dataKind(object), key);
  const stat = await store.files.stat(path).catch(undefinedWhenMissing);
  const recorded = recordedInode(object);
  if (stat?.kind !== 'file') return { path, key, inode: String(recorded ?? '') };
  return {
    path,
    key,
    inode: String(recorded ?? stat.inode),
    inodeFound: String(stat.inode),
    heldBytes: Number(await store.files.held(path)),
  };
}

const classOf = ({ kind, held }: FoundObject) =>
  kind === 'volume'
    ? { options: plain(held.value.options), attributes: plain(held.value.attributes) }
    : {};

/** JSON has no bigint. */
const plain = (fields: object): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(fields).map(([key, value]: [string, unknown]) => [
      key,
      typeof value === 'bigint' ? Number(value) : value,
    ]),
  );

async function attachmentsOf({
  kind,
  store,
  held,
}: FoundObject): Promise<readonly AttachmentFacts[]> {
  if (kind !== 'volume' || held.value.attachments.length === 0) return [];
  const living = await store.nodes.living();
  return held.value.attachments.map(({ node, sinceMs, state = 'ready', readonly, capability }) => ({
    node,
    sinceMs,
    state,
    access: `${capability.access.kind} ${capability.mode}`,
    readonly,
    alive: living.includes(node),
  }));
}

async function marksOf(store: RootStore, key: FileKey): Promise<ObjectFacts['marks']> {
  const marks = await store.marks.of(key);
  return Promise.all(
    marks.map(async (mark) => ({
      node: mark.node,
      sinceMs: mark.sinceMs,
      dead: isDeadMark(mark, await store.nodes.read(mark.node)),
    })),
  );
}

async function claimsOf(object: FoundObject): Promise<readonly ClaimFacts[]> {
  const { kind, store, held } = object;
  const { claim } = held.value;
  const retype = kind === 'volume' ? held.value.retype : null;
  const running = [claim, retype].filter((each) => each !== null);
  return Promise.all(
    running.map(async (each) => ({
      op: each.op,
      node: each.node,
      sinceMs: each.sinceMs,
      server: await store.nodes.fateOf(each),
      ...(progressOf(each, held.value.bytes) ?? (await writtenSoFar(object, each))),
    })),
  );
}

/** Of a file that a command makes, as an import does: the blocks that it has by now. */
async function writtenSoFar(object: FoundObject, { op, image }: Claim) {
  if (op !== 'create' || image === undefined) return {};
  const { store, held } = object;
  const path = store.layout.data(dataKind(object), image);
  const done = await store.files.held(path).catch(undefinedWhenMissing);
  return done === undefined ? {} : { doneBytes: Number(done), ofBytes: Number(held.value.bytes) };
}

function progressOf({ fill }: Claim, bytes: bigint) {
  if (!fill) return undefined;
  const of = (fill.thick ? bytes : 0n) + (fill.from?.bytes ?? 0n);
  return { doneBytes: Number(fill.allocatedBytes + fill.copiedBytes), ofBytes: Number(of) };
}

async function barredOf({ store, held }: FoundObject): Promise<ObjectFacts['barred']> {
  const notes = await store.barred.all();
  return notes
    .filter(({ key }) => key === held.id || ownerOfKey(key) === held.id)
    .map(({ key, claim }) => ({ key, node: claim.node }));
}

/** Work that is on the queue for this object or its file. */
async function queueOf(
  store: RootStore,
  id: string,
  key: string | undefined,
): Promise<readonly QueueFacts[]> {
  const names = [id, ...(key === undefined ? [] : [key])];
  const announced = await store.queue.ready();
  const found: QueueFacts[] = [];
  for (const name of new Set(names)) {
    if (announced.includes(name)) found.push({ state: 'announced' });
    const item = await store.queue.putOffBefore(name);
    if (item)
      found.push({ state: 'put off', why: item.why, untilMs: item.untilMs, tries: item.tries });
  }
  return found;
}

const historyOf = ({ kind, held }: FoundObject): ObjectFacts['history'] =>
  kind === 'clone parent' ? [] : (held.value.history ?? []);

async function hereOf(host: ExplainHost, object: FoundObject): Promise<LocalFacts | undefined> {
  if (object.kind !== 'volume') return undefined;
  const handle = handleOf(object);
  const record = host.records.find(({ volumeId }) => volumeId === handle);
  return record && localFacts(host, record, object.held.value.image?.inode);
}
