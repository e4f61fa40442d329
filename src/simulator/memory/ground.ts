import type {
  Facts,
  SimulatedFileset,
  FilesetPart,
  Ground,
  Inode,
  SimulatedPool,
} from '../core/ground.ts';
import { cloneState, type CloneState } from './clone-state.ts';
import { isMounted, type Personality } from '../core/personality.ts';
import { fail } from '../core/errno.ts';
import {
  enter,
  leave,
  makeFileSystem,
  type MemoryNode,
  type MemoryFileSystem,
} from './file-system.ts';

/** The in-process GPFS that ports and commands work on: its files, its clone records and its filesets. */
export interface MemoryGround extends Ground, Omit<CloneState, 'dropUnused'> {
  /** The file system of GPFS, which all nodes share. */
  readonly shared: MemoryFileSystem;
  /** The ordinary file system of a node, which a path leads to while GPFS is not mounted. */
  readonly local: MemoryFileSystem;
  personality: Personality;
  /** The file system that a path leads to now. */
  fileSystemOf(path: string): MemoryFileSystem;
  dropUnused(node: MemoryNode): void;
}

export interface MemoryOptions {
  readonly device: string;
  readonly mountPoint: string;
  readonly node: string;
  readonly personality: Personality;
  readonly fileset: string;
  readonly totalKiB: bigint;
  readonly now: () => number;
}

/** A ground in memory, with one fileset linked beside the root fileset. */
export function memoryGround(options: MemoryOptions): MemoryGround {
  const { mountPoint, now } = options;
  const createdMs = now();
  const shared = makeFileSystem(47n, mountPoint, createdMs);
  const local = makeFileSystem(8n, '/', createdMs);
  const state = cloneState(shared);
  const fileSystemOf = (path: string): MemoryFileSystem =>
    isMounted(ground.personality) && isBelow(path, mountPoint) ? shared : local;

  const ground: MemoryGround = {
    device: options.device,
    aliases: [],
    mountPoint,
    node: options.node,
    createdMs,
    now,
    personality: options.personality,
    pools: memoryPools(options.totalKiB),
    shared,
    local,
    fileSystemOf,
    ...state,
    ...memoryFilesets(shared, (node) => {
      state.dropUnused(ground, node);
    }),
    dropUnused: (node) => {
      state.dropUnused(ground, node);
    },
    facts: (path) => factsOf(ground, path),
    record: (inode) => state.records.get(inode),
    isOpenForWriting: (path) => shared.find(path, 'open').writers > 0,
    draft: (source, as) => draft(shared, source, as, now()),
    checkFree: (path) => {
      const { directory, name } = fileSystemOf(path).entryAt(path, 'create');
      if (fileSystemOf(path) !== shared) fail('EXDEV', 'create', path);
      if (directory.entries.has(name)) fail('EEXIST', 'create', path);
    },
    commit: (changes) => {
      for (const change of changes) state.apply(change);
    },
  };
  linkFirstFileset(ground, options.fileset);
  return ground;
}

function factsOf(ground: MemoryGround, path: string): Facts {
  const fileSystem = ground.fileSystemOf(path);
  const { inode, kind, size, names, bornMs } = fileSystem.find(path, 'stat');
  if (fileSystem !== ground.shared) fail('EINVAL', 'stat', path);
  return { inode, kind, size, links: names + ground.childCount(inode), bornMs };
}

function draft(
  fileSystem: MemoryFileSystem,
  source: string,
  as: 'snap' | 'copy',
  nowMs: number,
): Inode {
  const from = fileSystem.find(source, 'draft');
  const node = fileSystem.make('file', as === 'snap' ? from.mode : 0o644, nowMs);
  node.size = from.size;
  if (as === 'copy') return node.inode;
  node.modifiedMs = from.modifiedMs;
  for (const [block, value] of from.blocks) node.blocks.set(block, value);
  return node.inode;
}

function memoryFilesets(
  fileSystem: MemoryFileSystem,
  drop: (node: MemoryNode) => void,
): FilesetPart {
  const filesets = new Map<string, SimulatedFileset>();
  const roots = new Map<string, MemoryNode>();
  const removeBelow = (node: MemoryNode): void => {
    for (const [name, entry] of node.entries) {
      leave({ directory: node, name });
      if (entry.kind === 'directory') removeBelow(entry);
      else drop(entry);
    }
    fileSystem.nodes.delete(node.inode);
  };
  return {
    filesets: () => [...filesets.values()],
    filesetOf: (path) => filesetOf(fileSystem, roots, path),
    makeFilesetRoot: (name) => {
      const node = fileSystem.make('directory', 0o700, 0);
      roots.set(name, node);
      return node.inode;
    },
    putFileset: (fileset) => void filesets.set(fileset.name, fileset),
    moveFilesetRoot: (name, from, to) => {
      const node = roots.get(name) ?? fail('ENOENT', 'link', name);
      if (to !== undefined) enter(fileSystem.entryAt(to, 'link'), node, 'link', to);
      else if (from !== undefined) leave(fileSystem.entryAt(from, 'unlink'));
    },
    removeFilesetRoot: (name) => {
      const node = roots.get(name);
      if (node) removeBelow(node);
      roots.delete(name);
      filesets.delete(name);
    },
    isFilesetEmpty: (name) => roots.get(name)?.entries.size === 0,
  };
}

function linkFirstFileset(ground: MemoryGround, name: string): void {
  const root: SimulatedFileset = {
    name: 'root',
    id: 0,
    rootInode: ground.shared.root.inode,
    junction: ground.mountPoint,
    createdMs: ground.createdMs,
    comment: 'root fileset',
    independent: true,
  };
  const junction = `${ground.mountPoint}/${name}`;
  ground.putFileset(root);
  const rootInode = ground.makeFilesetRoot(name);
  ground.moveFilesetRoot(name, undefined, junction);
  ground.putFileset({ ...root, name, id: 1, rootInode, junction, comment: '', independent: false });
}

const memoryPools = (totalKiB: bigint): readonly SimulatedPool[] => [
  { name: 'system', id: 0, metadata: true, totalKiB, freeKiB: (totalKiB * 3n) / 4n },
  { name: 'data', id: 65_537, metadata: false, totalKiB: totalKiB * 4n, freeKiB: totalKiB * 3n },
];

/** Whether a path is a directory or lies below it. */
const isBelow = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory.endsWith('/') ? directory : `${directory}/`);

// The innermost fileset on the way to a path. The path need not exist.
function filesetOf(
  fileSystem: MemoryFileSystem,
  roots: ReadonlyMap<string, MemoryNode>,
  path: string,
): string {
  let found = 'root';
  let node: MemoryNode | undefined = fileSystem.root;
  for (const part of path.slice(fileSystem.mountPoint.length).split('/').filter(Boolean)) {
    node = node.entries.get(part);
    if (!node) break;
    for (const [name, root] of roots) if (root === node) found = name;
  }
  return found;
}
