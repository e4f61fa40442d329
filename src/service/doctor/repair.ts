import { join, relative } from 'node:path';
import { isFault, messageOf } from '../../model/fault.ts';
import type { FileKey, LocalId } from '../../model/ids.ts';
import { planClearing, planRepair } from '../../model/audit/repair.ts';
import { describeRepair, type Rebuilt, type Repair } from '../../model/audit/repair-words.ts';
import { asRecorded, sectorsOf, type SectorBytes } from '../../model/sectors.ts';
import type { Nonce } from '../../run/clock.ts';
import { errnoError, errnoOf, undefinedWhenMissing } from '../../run/files.ts';
import type { RootStore } from '../../store/root.ts';
import { recordFormat } from '../../store/schema/data.ts';
import type { HiddenRecord, SnapshotRecord } from '../../store/schema/parents.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import { parentRecord } from '../parents/record.ts';
import { collect, type AuditHost } from './collect.ts';
import { correctParent, correctSize } from './correct.ts';

/** What a repair needs. */
export interface RepairHost extends AuditHost {
  readonly nonce: Nonce;
  /** The sector size that the disk in a file was made for. */
  readonly sectorBytes: (path: string) => Promise<SectorBytes>;
  /** Milliseconds; what is younger is left alone, as a server may be working on it. */
  readonly minAgeMs: number;
  /** Called after each change, with what was done or why it could not be. */
  readonly onRepair: (sentence: string) => void;
}

/**
 * Repairs a root while servers run: every change is a compare-and-swap, or a rename of a file that no record names.
 * A second repair finds nothing to do. Data is moved, never removed.
 */
export async function repair(host: RepairHost, store: RootStore): Promise<void> {
  await makeStateDirectories(store);
  const day = new Date(host.clock.now()).toISOString().slice(0, 10);
  const quarantine = join(store.layout.quarantine, `${day}-${host.nonce()}`);
  const attempted = new Set<string>();
  const act = async (each: Repair) => {
    const sentence = describeRepair(each);
    if (attempted.has(sentence)) return;
    attempted.add(sentence);
    await attempt(host, sentence, () => change(host, store, quarantine, each));
  };
  for (const each of planClearing(await collect(host, store), host.minAgeMs)) await act(each);
  // What one round repairs may uncover more to repair.
  for (let round = 0; round < rounds; round++)
    for (const each of planRepair(await collect(host, store), host.minAgeMs)) await act(each);
}

const rounds = 3;

/** Recreates directories that were removed, with all that was in them. */
async function makeStateDirectories(store: RootStore): Promise<void> {
  for (const directory of store.layout.fixed) await store.files.makeDirectory(directory, 0o750);
}

async function attempt(
  { onRepair }: Pick<RepairHost, 'onRepair'>,
  sentence: string,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work();
    onRepair(sentence);
  } catch (error) {
    // A server was faster, or GPFS keeps the file where it is: the other repairs are still made.
    const refused = isFault(error, 'busy') || errnoOf(error) !== undefined;
    if (!refused) throw error;
    const why = messageOf(error);
    onRepair(`could not do this: ${sentence} (${why})`);
  }
}

async function change(
  host: RepairHost,
  store: RootStore,
  quarantine: string,
  each: Repair,
): Promise<unknown> {
  switch (each.do) {
    case 'set aside': {
      const target = join(quarantine, relative(store.layout.root, each.path));
      return setAside(store, each.path, target);
    }
    case 'add edge':
      return store.edges.add(each.parent as FileKey, each.child as FileKey);
    case 'drop edge':
      return store.edges.remove(each.parent as FileKey, each.child as FileKey);
    case 'drop mark':
      return store.marks.clear(each.image as FileKey, each.node);
    case 'make volume':
      return makeVolume(host, store, each.id, each.file);
    case 'make snapshot':
      return makeSnapshot(host, store, each);
    case 'make clone parent':
      return makeHidden(host, store, each.file);
    case 'correct parent':
      return correctParent(store, each);
    case 'correct size':
      return correctSize(store, each);
    case 'leave':
      return undefined;
  }
}

/** A rename would remove what the quarantine has under that name already. */
async function setAside(store: RootStore, path: string, target: string): Promise<void> {
  if (await store.files.stat(target).catch(undefinedWhenMissing))
    throw errnoError('EEXIST', 'rename', target);
  await store.makeIn(target, () => store.files.rename(path, target));
}

const common = async (host: RepairHost, store: RootStore, rebuilt: Rebuilt) => ({
  format: recordFormat,
  bytes: rebuilt.bytes,
  parent: rebuilt.parent as FileKey | null,
  content: { kind: 'unknown' as const },
  ...(await sectorsFor(host, store, rebuilt)),
  createdMs: host.clock.now(),
  file: { key: rebuilt.key as FileKey, inode: rebuilt.inode },
});

/** The sectors of the parent, where that is known: a snapshot or clone keeps those of its source. */
async function sectorsFor(host: RepairHost, store: RootStore, { key, data, parent }: Rebuilt) {
  const above = parent === null ? undefined : await parentRecord(store, parent as FileKey);
  if (above) return sectorsOf(above);
  return asRecorded(await host.sectorBytes(store.layout.data(data, key as FileKey)));
}

async function makeVolume(
  host: RepairHost,
  store: RootStore,
  id: string,
  rebuilt: Rebuilt,
): Promise<void> {
  const { file, ...rest } = await common(host, store, rebuilt);
  const record: VolumeRecord = {
    ...rest,
    id: id as LocalId,
    name: id,
    state: 'ready',
    asked: {
      requiredBytes: rebuilt.bytes,
      limitBytes: 0n,
      capabilities: [],
      parameters: {},
      source: null,
    },
    attributes: {},
    options: {},
    context: {},
    retype: null,
    image: file,
    unchanged: false,
    attachments: [],
    claim: null,
  };
  await store.volumes.swap(id, undefined, record, 'name');
}

async function makeSnapshot(
  host: RepairHost,
  store: RootStore,
  { id, file: rebuilt, volume }: Extract<Repair, { do: 'make snapshot' }>,
): Promise<void> {
  const record: SnapshotRecord = {
    ...(await common(host, store, rebuilt)),
    id: id as LocalId,
    name: id,
    state: 'ready',
    volume: (volume ?? 'unknown') as LocalId,
    attributes: {},
    claim: null,
  };
  await store.snapshots.swap(id, undefined, record, 'name');
}

async function makeHidden(host: RepairHost, store: RootStore, rebuilt: Rebuilt): Promise<void> {
  const { file, ...rest } = await common(host, store, rebuilt);
  const data = rebuilt.data === 'snapshots' ? 'snapshots' : 'hidden';
  const record: HiddenRecord = {
    ...rest,
    id: file.key,
    why: data === 'snapshots' ? 'tombstone' : 'clone',
    state: 'waiting',
    data,
    claim: null,
  };
  await store.hidden.swap(file.key, undefined, record, 'name');
}
