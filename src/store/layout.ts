import { join } from 'node:path';
import { ownerOfKey, shardOf, type FileKey, type LocalId } from '../model/ids.ts';

/** Kinds of records; each has a directory of its own. */
export type RecordKind = 'volumes' | 'snapshots' | 'groups' | 'hidden' | 'leases';

/** Directories that hold data files: volumes' images, clone parents of snapshots, hidden clone parents. */
export type DataKind = 'volumes' | 'snapshots' | 'hidden';

/** Where things lie inside a root. Names from users never reach this: ids and keys do. */
export interface Layout {
  readonly root: string;
  readonly state: string;
  readonly rootFile: string;
  readonly temporary: string;
  readonly nodes: string;
  /** What the probe found out about the GPFS of this root, and the directory of its trials. */
  readonly abilities: string;
  readonly probe: string;
  /** Files and directories to use while the file system is full. */
  readonly spare: string;
  /** What a repair set aside; only administrators look there. */
  readonly quarantine: string;
  readonly node: (nodeName: string) => string;
  /** What the server of a node last found wrong. */
  readonly health: (nodeName: string) => string;
  readonly records: (kind: RecordKind) => string;
  readonly recordShard: (kind: RecordKind, id: string) => string;
  readonly edges: (parent: FileKey) => string;
  readonly edge: (parent: FileKey, child: FileKey) => string;
  readonly marks: (image: FileKey) => string;
  readonly attached: (nodeName: string) => string;
  /** The notes on volumes that were moved to another root; each names that root. */
  readonly movedNotes: string;
  readonly moved: (local: LocalId) => string;
  /** What volumes of other roots are filled from. */
  readonly copies: string;
  /** Notes on names of data files that no command may make any more. */
  readonly barred: string;
  /** Work announced and not begun, and work put off, one file for each. */
  readonly queue: (state: 'ready' | 'waiting') => string;
  /** Where a node is asked to freeze a volume. */
  readonly freezes: (nodeName: string) => string;
  /** Holds the folders of all nodes. */
  readonly freezesOfAll: string;
  readonly data: (kind: DataKind, key: FileKey) => string;
  /** Every directory that must exist before anything is written. */
  readonly fixed: readonly string[];
}

/** The layout of the root at this absolute path. */
export function layoutOf(root: string): Layout {
  const state = join(root, '.gpfs-csi');
  const at = (...parts: string[]) => join(state, ...parts);
  return {
    root,
    state,
    rootFile: at('root.json'),
    temporary: at('tmp'),
    nodes: at('nodes'),
    abilities: at('abilities.json'),
    probe: at('probe'),
    spare: at('spare'),
    quarantine: at('quarantine'),
    node: (nodeName) => at('nodes', `${nodeName}.json`),
    health: (nodeName) => at('health', `${nodeName}.json`),
    records: (kind) => at('records', kind),
    recordShard: (kind, id) => at('records', kind, shardOf(recordOwner(id))),
    edges: (parent) => at('edges', shardOf(ownerOfKey(parent)), parent),
    edge: (parent, child) => at('edges', shardOf(ownerOfKey(parent)), parent, child),
    marks: (image) => at('marks', shardOf(ownerOfKey(image)), image),
    attached: (nodeName) => at('attached', nodeName),
    movedNotes: at('moved'),
    moved: (local) => at('moved', local),
    copies: at('copies'),
    barred: at('barred'),
    queue: (state) => at('queue', state),
    freezes: (nodeName) => at('freezes', nodeName),
    freezesOfAll: at('freezes'),
    data: (kind, key) => join(root, kind, shardOf(ownerOfKey(key)), key),
    fixed: fixedIn(root, at),
  };
}

/** Parents before what lies in them. */
const fixedIn = (root: string, at: (...parts: string[]) => string): readonly string[] => [
  at(''),
  at('tmp'),
  at('nodes'),
  at('records'),
  at('edges'),
  at('marks'),
  at('attached'),
  at('moved'),
  at('queue'),
  at('queue', 'ready'),
  at('queue', 'waiting'),
  at('records', 'volumes'),
  at('records', 'snapshots'),
  at('records', 'groups'),
  at('records', 'hidden'),
  at('records', 'leases'),
  join(root, 'volumes'),
  join(root, 'snapshots'),
  join(root, 'hidden'),
];

/** Records of data files are kept in the shard of the object that made the file. */
const recordOwner = (id: string): string => (id.includes('.') ? ownerOfKey(id as FileKey) : id);

/** One version of a record: `ID.17`. */
export const versionName = (id: string, version: number): string => `${id}.${version}`;

/** Far beyond what any record comes to: a larger number in a name is not of a server. */
export const largestVersion = 999_999_999_999;

/** The id and version in a record's file name; undefined for a name that is none. */
export function parseVersionName(name: string): { id: string; version: number } | undefined {
  const dot = name.lastIndexOf('.');
  const version = name.slice(dot + 1);
  if (dot < 1 || !/^[1-9][0-9]*$/.test(version)) return undefined;
  return { id: name.slice(0, dot), version: Number(version) };
}

const shardName = /^[0-9a-f]{3}$/;
const plainId = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const keyId = /^[A-Za-z0-9][A-Za-z0-9_-]*\.\d+-[0-9a-f]+$/;

/** Whether this is the name of a shard. */
export const isShardName = (name: string): boolean => shardName.test(name);

/** Whether this is the key of a data file. */
export const isKey = (name: string): name is FileKey & string => keyId.test(name);

/** Whether this is a name that the queue gives to its items. */
export const isItemName = (name: string): boolean => plainId.test(name) || keyId.test(name);

/** Whether a record of this kind and id lies in this shard; other files there are none of the driver's. */
export const isRecordIn = (kind: RecordKind, shard: string, id: string): boolean =>
  (kind === 'hidden' ? keyId : plainId).test(id) && shardOf(recordOwner(id)) === shard;

/** The ids in a listing of a shard, each with its highest version, sorted by id. */
export function highestVersions(names: readonly string[]): ReadonlyMap<string, number> {
  const highest = new Map<string, number>();
  for (const name of names) {
    const parsed = parseVersionName(name);
    if (parsed && parsed.version > (highest.get(parsed.id) ?? 0))
      highest.set(parsed.id, parsed.version);
  }
  return new Map([...highest].sort(([a], [b]) => (a < b ? -1 : 1)));
}
