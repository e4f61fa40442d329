import { dirname, join } from 'node:path';
import { DriverError } from '../model/fault.ts';
import type { RootId } from '../model/ids.ts';
import type { Log } from '../observe/log.ts';
import type { Clock, Nonce } from '../run/clock.ts';
import type { Files, FileStat } from '../run/files.ts';
import type { Mounts } from '../run/mounts.ts';
import { makeIn } from '../run/directories.ts';
import { copiesOf, type Copies } from './notes/copies.ts';
import { abilitiesOf, type KeptAbilities } from './abilities.ts';
import { barredOf, type Barred } from './notes/barred.ts';
import { attachedIndexOf, type AttachedIndex } from './attached.ts';
import { type BadFiles, badFilesOf, toText } from './json.ts';
import { goneOf, type Gone } from './gone.ts';
import { historyOf, namesRequest, type History } from './history.ts';
import { insideFiles, insideOf, requireClosed } from './inside/inside.ts';
import { edgesOf, ignoring, type Edges } from './edges.ts';
import { freezesOf, type Freezes } from './freezes.ts';
import {
  findRootFile,
  guardedFiles,
  readRootFile,
  refuseUsed,
  requireMount,
  requireSame,
  requireWritable,
  rootChecks,
  translatedFiles,
  type RootFacts,
} from './guarded.ts';
import { layoutOf, type Layout } from './layout.ts';
import { movedOf, type Moved } from './notes/moved.ts';
import { marksOf, type Marks } from './marks.ts';
import { nodesOf, type Nodes } from './nodes.ts';
import { queueOf, type Queue } from './queue.ts';
import { recordsOf, type Records } from './records.ts';
import { withSpares, sparesOf, type Spares } from './spare.ts';
import { recordFormat } from './schema/data.ts';
import { groupRecord, type GroupRecord } from './schema/groups.ts';
import {
  hiddenRecord,
  snapshotRecord,
  type HiddenRecord,
  type SnapshotRecord,
} from './schema/parents.ts';
import { leaseRecord, type LeaseRecord } from './schema/queue.ts';
import type { RootFile } from './schema/root.ts';
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
  readonly barred: Barred;
  readonly attached: AttachedIndex;
  readonly marks: Marks;
  readonly moved: Moved;
  readonly freezes: Freezes;
  readonly nodes: Nodes;
  readonly abilities: KeptAbilities;
  readonly spares: Spares;
  /**
   * The same root for work that frees space, such as a deletion or a detach: where the file system is full, its
   * changes use the spare files.
   */
  readonly freeing: RootStore;
  /** Deleted objects, whose records lists need not read again. */
  readonly gone: Gone;
  /** Files that cannot be read, each logged once. */
  readonly bad: BadFiles;
  /** Checked before every change: a call on a root that is not mounted fails as unavailable and touches nothing. */
  readonly files: Files;
  /** Throws unavailable unless the root is mounted and is the one that was opened. */
  readonly check: () => Promise<void>;
  /**
   * Throws unavailable unless records can be written: mounted for writing, with every directory; makes a missing one.
   * Writes something only where an earlier write failed.
   */
  readonly requireUsable: () => Promise<void>;
  /** Makes a file; its shard directory first where that is missing. */
  readonly makeIn: <T>(path: string, action: () => Promise<T>) => Promise<T>;
  /** Makes sure that the shard directory of a file exists. */
  readonly directoryOf: (path: string) => Promise<void>;
}

type BareStore = Omit<RootStore, 'freeing' | 'spares' | 'requireUsable'>;

export interface StoreHost {
  readonly files: Files;
  readonly mounts: Mounts;
  readonly clock: Clock;
  readonly nonce: Nonce;
  /** The file system type a root must lie on. */
  readonly mountType: string;
  /** lstat(2), for the check of directories; absent where none can be a link, as in memory. */
  readonly lookAt?: ((path: string) => Promise<FileStat>) | undefined;
  /** Where files that cannot be read are named; commands say it themselves. */
  readonly log?: Log;
}

/** Opens the root at this path; sets it up when nothing is there. Throws unavailable or misconfigured. */
export async function openRoot(
  path: string,
  expected: RootFacts,
  host: StoreHost,
): Promise<RootStore> {
  const layout = layoutOf(path);
  await requireWritable(path, host);
  if (host.lookAt) await requireClosed(layout, host.lookAt);
  const facts = (await findRootFile(layout, host)) ?? (await setUp(layout, expected, host));
  requireSame(path, facts, expected);
  const store = storeOf(layout, facts, host);
  await makeFixed(store.freeing);
  return store;
}

async function makeFixed({ files, layout }: Pick<RootStore, 'files' | 'layout'>): Promise<void> {
  for (const directory of layout.fixed) await files.makeDirectory(directory, 0o750);
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
  if (host.lookAt) await requireClosed(layout, host.lookAt);
  const facts = await findRootFile(layout, host);
  if (!facts)
    throw new DriverError(
      'misconfigured',
      `${path} is no root of the driver: there is no ${layout.rootFile}; name the directory that \`serve\` uses`,
    );
  if (owner !== undefined) requireSame(path, facts, { ...facts, owner });
  return storeOf(layout, facts, host);
}

function storeOf(layout: Layout, facts: RootFile, host: StoreHost): RootStore {
  const checks = rootChecks(layout, facts, host);
  const writable = () => requireWritable(layout.root, host);
  const inside = host.lookAt && insideOf(layout.root, { lookAt: host.lookAt, clock: host.clock });
  const unguarded = translatedFiles(inside ? insideFiles(host.files, inside) : host.files);
  const writes = { failed: false };
  const refused = (cause: unknown): DriverError => {
    writes.failed = true;
    return readOnlyBelow(layout.root, cause);
  };
  const files = guardedFiles(unguarded, { ...checks, writable, refused });
  const { nonce } = host;
  const bad = badFilesOf(layout.root, host.log);
  const own = { node: undefined };
  const ground = {
    layout,
    facts,
    host,
    check: checks.mounted,
    files: healing(files),
    unguarded,
    bad,
    own,
    history: historyOf(host.clock, own),
  };
  const spare = (of: Files) => withSpares({ files: of, layout, nonce });
  const spared = { ...ground, files: spare(ground.files), unguarded: spare(unguarded) };
  const open = storeOver(ground);
  const more = {
    spares: sparesOf({ ...ground, nonce }),
    requireUsable: async () => {
      await checks.mounted();
      await writable();
      await makeFixed(spared);
      if (!writes.failed) return;
      await open.nodes.beatAgain();
      writes.failed = false;
    },
  };
  const freeing: RootStore = {
    ...storeOver(spared),
    ...more,
    get freeing() {
      return freeing;
    },
  };
  return { ...open, ...more, freeing };
}

/** The heartbeat, or another write, was refused: nothing in the mount table says so. */
const readOnlyBelow = (path: string, cause: unknown): DriverError =>
  new DriverError(
    'unavailable',
    `root ${path} cannot be written to although it is mounted for writing: the file system says that it is read-only (EROFS); see mmhealth node show, mmlsdisk and the log of GPFS on this node`,
    cause,
  );

/** The same calls; the directory of a new file is made where something removed it. */
const healing = (files: Files): Files => ({
  ...files,
  createDurable: (path, text, mode) =>
    makeIn(files, dirname(path), () => files.createDurable(path, text, mode)),
});

interface StoreGround {
  readonly layout: Layout;
  readonly facts: RootFile;
  readonly host: StoreHost;
  readonly check: () => Promise<void>;
  readonly files: Files;
  readonly unguarded: Files;
  readonly bad: BadFiles;
  readonly own: { node: string | undefined };
  readonly history: History;
}

function storeOver(ground: StoreGround): BareStore {
  const { layout, facts, host, check, files, unguarded, bad, own, history } = ground;
  const { clock, nonce } = host;
  const common = { files, unguarded, layout, nonce, check, bad };
  const seen = namesRequest(facts.rootId);
  return {
    id: facts.rootId,
    facts,
    layout,
    files,
    check,
    gone: goneOf(clock),
    bad,
    makeIn: (file, action) => makeIn(files, dirname(file), action),
    directoryOf: (file) => files.makeDirectory(dirname(file), 0o750),
    volumes: recordsOf({ ...common, kind: 'volumes', schema: volumeRecord, history, seen }),
    snapshots: recordsOf({ ...common, kind: 'snapshots', schema: snapshotRecord, history, seen }),
    groups: recordsOf({ ...common, kind: 'groups', schema: groupRecord }),
    hidden: recordsOf({ ...common, kind: 'hidden', schema: hiddenRecord }),
    leases: recordsOf({ ...common, kind: 'leases', schema: leaseRecord }),
    queue: queueOf(files, layout, nonce, bad),
    edges: edgesOf(files, layout),
    copies: copiesOf(files, layout),
    barred: barredOf(files, layout, nonce, bad),
    attached: attachedIndexOf(files, layout),
    nodes: nodesOf(files, layout, { clock, nonce, bad, own }),
    abilities: abilitiesOf(files, layout, nonce),
    marks: marksOf(files, layout, clock, nonce),
    moved: movedOf(files, layout, nonce),
    freezes: freezesOf(files, layout, nonce),
  };
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
  throw new DriverError(
    'unavailable',
    `root ${layout.root} vanished while it was set up; is the file system still mounted?`,
  );
}
