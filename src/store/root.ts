import { dirname, join } from 'node:path';
import { DriverError } from '../model/fault.ts';
import type { RootId } from '../model/ids.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import { errnoOf, type FileStat, type Files } from '../run/files.ts';
import { mountOf, type Mounts } from '../run/mounts.ts';
import { makeIn } from '../run/directories.ts';
import { copiesOf, type Copies } from './copies.ts';
import { abilitiesOf, type KeptAbilities } from './abilities.ts';
import { attachedIndexOf, type AttachedIndex } from './attached.ts';
import { edgesOf, ignoring, type Edges } from './edges.ts';
import { freezesOf, type Freezes } from './freezes.ts';
import { guardedFiles, translatedFiles } from './guarded.ts';
import { fromText, toText } from './json.ts';
import { layoutOf, type Layout } from './layout.ts';
import { movedOf, type Moved } from './moved.ts';
import { marksOf, type Marks } from './marks.ts';
import { nodesOf, type Nodes } from './nodes.ts';
import { queueOf, type Queue } from './queue.ts';
import { recordsOf, type Records } from './records.ts';
import { recordFormat } from './schema/data.ts';
import { groupRecord, type GroupRecord } from './schema/groups.ts';
import {
  hiddenRecord,
  snapshotRecord,
  type HiddenRecord,
  type SnapshotRecord,
} from './schema/parents.ts';
import { leaseRecord, type LeaseRecord } from './schema/queue.ts';
import { rootFile, type RootFile } from './schema/root.ts';
import { volumeRecord, type VolumeRecord } from './schema/volume.ts';

/** One root, open: everything the driver remembers in it, and the files it may touch. */
export interface RootStore {
  readonly id: RootId;
  readonly facts: RootFile;
  readonly layout: Layout;
  readonly volumes: Records<VolumeRecord>;
  readonly snapshots: Records<SnapshotRecord>;
  readonly groups: Records<GroupRecord>;
  readonly hidden: Records<HiddenRecord>;
  readonly leases: Records<LeaseRecord>;
  readonly queue: Queue;
  readonly edges: Edges;
  readonly copies: Copies;
  readonly attached: AttachedIndex;
  readonly marks: Marks;
  readonly moved: Moved;
  readonly freezes: Freezes;
  readonly nodes: Nodes;
  readonly abilities: KeptAbilities;
  /** Checked before every change: a call on a root that is not mounted fails as unavailable and touches nothing. */
  readonly files: Files;
  /** Throws unavailable unless the root is mounted and is the one that was opened. */
  readonly check: () => Promise<void>;
  /** Makes a file; its shard directory first where that is missing. */
  readonly makeIn: <T>(path: string, action: () => Promise<T>) => Promise<T>;
  /** Makes sure that the shard directory of a file exists. */
  readonly directoryOf: (path: string) => Promise<void>;
}

/** What a root belongs to; compared with root.json, or written there when the root is new. */
export interface RootFacts {
  readonly clusterId: string;
  readonly fileSystem: string;
  readonly fileset: string;
  readonly owner: string;
}

export interface StoreHost {
  readonly files: Files;
  readonly mounts: Mounts;
  readonly clock: Clock;
  readonly nonce: Nonce;
  /** The file system type a root must lie on. */
  readonly mountType: string;
}

/** Opens the root at this path; sets it up when nothing is there. Throws unavailable or misconfigured. */
export async function openRoot(
  path: string,
  expected: RootFacts,
  host: StoreHost,
): Promise<RootStore> {
  const layout = layoutOf(path);
  await requireMount(path, host);
  const facts = (await readRootFile(layout, host)) ?? (await setUp(layout, expected, host));
  requireSame(path, facts, expected);
  const store = storeOf(layout, facts, host);
  for (const directory of layout.fixed) await store.files.makeDirectory(directory, 0o750);
  return store;
}

/**
 * Opens an existing root for reading: creates nothing, and adds no server to it. Throws
 * unavailable where it is not mounted, misconfigured where there is none or where another `owner` has it.
 */
export async function openExistingRoot(
  path: string,
  owner: string | undefined,
  host: StoreHost,
): Promise<RootStore> {
  const layout = layoutOf(path);
  await requireMount(path, host);
  const facts = await readRootFile(layout, host);
  if (!facts)
    throw new DriverError(
      'misconfigured',
      `${path} is no root of the driver: there is no ${layout.rootFile}; name the directory that \`serve\` uses`,
    );
  if (owner !== undefined) requireSame(path, facts, { ...facts, owner });
  return storeOf(layout, facts, host);
}

function storeOf(layout: Layout, facts: RootFile, host: StoreHost): RootStore {
  const check = rootCheck(layout, facts, host);
  const unguarded = translatedFiles(host.files);
  const files = guardedFiles(unguarded, check);
  const { clock, nonce } = host;
  const common = { files, unguarded, layout, nonce, check };
  return {
    id: facts.rootId as RootId,
    facts,
    layout,
    files,
    check,
    makeIn: (file, action) => makeIn(files, dirname(file), action),
    directoryOf: (file) => files.makeDirectory(dirname(file), 0o750),
    volumes: recordsOf({ ...common, kind: 'volumes', schema: volumeRecord }),
    snapshots: recordsOf({ ...common, kind: 'snapshots', schema: snapshotRecord }),
    groups: recordsOf({ ...common, kind: 'groups', schema: groupRecord }),
    hidden: recordsOf({ ...common, kind: 'hidden', schema: hiddenRecord }),
    leases: recordsOf({ ...common, kind: 'leases', schema: leaseRecord }),
    queue: queueOf(files, layout, nonce),
    edges: edgesOf(files, layout),
    copies: copiesOf(files, layout),
    attached: attachedIndexOf(files, layout),
    nodes: nodesOf(files, layout, clock, nonce),
    abilities: abilitiesOf(files, layout, nonce),
    marks: marksOf(files, layout, clock, nonce),
    moved: movedOf(files, layout, nonce),
    freezes: freezesOf(files, layout, nonce),
  };
}

async function readRootFile(layout: Layout, { files }: StoreHost): Promise<RootFile | undefined> {
  try {
    return fromText(rootFile, await files.read(layout.rootFile), layout.rootFile);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Several servers may meet a new root at once: one of them names it, by link(2). */
async function setUp(layout: Layout, expected: RootFacts, host: StoreHost): Promise<RootFile> {
  const { files, clock, nonce } = host;
  const found = await refuseUsed(layout, host);
  if (found) return found;
  await files.makeDirectory(layout.state, 0o750);
  await files.makeDirectory(layout.temporary, 0o750);
  const temporary = join(layout.temporary, `root-${nonce()}`);
  const facts = {
    format: recordFormat,
    rootId: nonce(),
    ...expected,
    createdMs: clock.now(),
  };
  await files.createDurable(temporary, toText(facts), 0o640);
  await ignoring(files.link(temporary, layout.rootFile), 'EEXIST');
  await ignoring(files.unlink(temporary), 'ENOENT');
  await files.syncDirectory(layout.state);
  const made = await readRootFile(layout, host);
  if (made) return made;
  throw new DriverError('unavailable', `root ${layout.root} vanished while it was set up`);
}

/** A root that lost its root.json must not get another id: every volume's id begins with it. */
async function refuseUsed(layout: Layout, host: StoreHost): Promise<RootFile | undefined> {
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

function requireSame(path: string, facts: RootFile, expected: RootFacts): void {
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

async function requireMount(path: string, { mounts, mountType }: StoreHost): Promise<void> {
  const mount = mountOf(await mounts(), path);
  if (mount?.type === mountType) return;
  throw new DriverError(
    'unavailable',
    `root ${path} is not on a ${mountType} file system but on ${mount?.type ?? 'nothing'}; is the file system mounted?`,
  );
}

/**
 * One lstat where nothing changed: the device and inode that root.json had when the mount was last
 * checked. Anything else means unmounted or mounted again, and then everything is checked again.
 */
function rootCheck(layout: Layout, facts: RootFile, host: StoreHost): () => Promise<void> {
  let verified = '';
  const identity = ({ device, inode }: FileStat) => `${device}:${inode}`;
  return async () => {
    const seen = await statRootFile(layout, host);
    if (identity(seen) === verified) return;
    await requireMount(layout.root, host);
    const found = await readRootFile(layout, host);
    if (found?.rootId !== facts.rootId)
      throw new DriverError(
        'unavailable',
        `root ${layout.root} is not the one this server opened (${facts.rootId}, now ${found?.rootId ?? 'none'})`,
      );
    verified = identity(seen);
  };
}

async function statRootFile(layout: Layout, { files }: StoreHost): Promise<FileStat> {
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
