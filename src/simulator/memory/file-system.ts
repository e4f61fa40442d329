import type { Bytes } from '../../model/bytes.ts';
import type { Inode } from '../core/ground.ts';
import { fail } from '../core/errno.ts';

/** A file or directory in memory. */
export interface MemoryNode {
  readonly inode: Inode;
  readonly kind: 'file' | 'directory';
  readonly bornMs: number;
  mode: number;
  size: Bytes;
  modifiedMs: number;
  /** How many names it has. A file exists while it has a name or is open. */
  names: number;
  readers: number;
  writers: number;
  /** Blocks that it holds itself. It reads other blocks through its clone parents. */
  readonly blocks: Map<number, string>;
  readonly entries: Map<string, MemoryNode>;
}

/** The block in which a text file keeps its text, so that clones share it like any block. */
export const textBlock = -1;

/** A file system in memory: names and inodes. What is special to GPFS is elsewhere. */
export interface MemoryFileSystem {
  readonly device: bigint;
  readonly mountPoint: string;
  readonly root: MemoryNode;
  /** Every inode that exists, with or without a name. */
  readonly nodes: Map<Inode, MemoryNode>;
  make(kind: MemoryNode['kind'], mode: number, nowMs: number): MemoryNode;
  /** ENOENT, ENOTDIR, ENAMETOOLONG. */
  find(path: string, call: string): MemoryNode;
  /** The directory a path lies in, and its last component. */
  entryAt(path: string, call: string): DirectoryEntry;
}

export interface DirectoryEntry {
  readonly directory: MemoryNode;
  readonly name: string;
}

/** An empty file system that appears at `mountPoint`. */
export function makeFileSystem(
  device: bigint,
  mountPoint: string,
  nowMs: number,
): MemoryFileSystem {
  const nodes = new Map<Inode, MemoryNode>();
  let next = 148_480;
  const make = (kind: MemoryNode['kind'], mode: number, bornMs: number): MemoryNode => {
    next += 1;
    const node: MemoryNode = {
      inode: String(next),
      kind,
      mode,
      bornMs,
      modifiedMs: bornMs,
      size: kind === 'directory' ? 4096n : 0n,
      names: 0,
      readers: 0,
      writers: 0,
      blocks: new Map(),
      entries: new Map(),
    };
    nodes.set(node.inode, node);
    return node;
  };
  const root = make('directory', 0o755, nowMs);
  root.names = 1;

  const components = (path: string, call: string): readonly string[] => {
    const inside = path.slice(mountPoint === '/' ? 0 : mountPoint.length);
    const parts = inside.split('/').filter((part) => part !== '');
    // A letter takes three bytes at most.
    const mayBeLong = inside.length > 255 / 3;
    if (mayBeLong && parts.some((part) => Buffer.byteLength(part) > 255))
      fail('ENAMETOOLONG', call, path);
    return parts;
  };
  const walk = (parts: readonly string[], call: string, path: string): MemoryNode =>
    parts.reduce((node, part) => {
      if (node.kind !== 'directory') fail('ENOTDIR', call, path);
      return node.entries.get(part) ?? fail('ENOENT', call, path);
    }, root);

  return {
    device,
    mountPoint,
    root,
    nodes,
    make,
    find: (path, call) => walk(components(path, call), call, path),
    entryAt: (path, call) => {
      const parts = components(path, call);
      const name = parts.at(-1);
      if (name === undefined) fail('EBUSY', call, path);
      const directory = walk(parts.slice(0, -1), call, path);
      if (directory.kind !== 'directory') fail('ENOTDIR', call, path);
      return { directory, name };
    },
  };
}

/** Gives a node a name. EEXIST when the name is taken. */
export function enter(place: DirectoryEntry, node: MemoryNode, call: string, path: string): void {
  if (place.directory.entries.has(place.name)) fail('EEXIST', call, path);
  place.directory.entries.set(place.name, node);
  node.names += 1;
}

/** Removes a name. The caller must drop a node that has no name left. */
export function leave(place: DirectoryEntry): void {
  const node = place.directory.entries.get(place.name);
  if (!node) return;
  place.directory.entries.delete(place.name);
  node.names -= 1;
}

/** Paths of all files below a node, in the order of their names. */
export function pathsBelow(node: MemoryNode, path: string): readonly string[] {
  if (node.kind === 'file') return [path];
  return [...node.entries.keys()]
    .sort()
    .flatMap((name) => pathsBelow(node.entries.get(name) ?? node, `${path}/${name}`));
}
