import type { Bytes } from '../../model/bytes.ts';
import type { FileStat } from '../../run/files.ts';
import { removalRefused } from '../core/clone.ts';
import type { MemoryGround } from './ground.ts';
import { noSpace } from '../core/personality.ts';
import { fail } from '../core/strerror.ts';
import { enter, leave, type MemoryNode, type TreePlace, type Tree } from './tree.ts';

/** What GPFS copies and charges at least; a block of the in-process face. */
export const blockBytes: Bytes = 4n * 1024n * 1024n;

/** What the file calls have in common: lookups, and the refusals of GPFS. */
export interface World {
  readonly gpfs: MemoryGround;
  find(path: string, call: string): MemoryNode;
  /** Like find, and EISDIR for a directory. */
  file(path: string, call: string): MemoryNode;
  create(path: string, kind: MemoryNode['kind'], mode: number): MemoryNode;
  /** The tree both paths are in; EXDEV when they are of two trees or two filesets. */
  oneFileset(from: string, to: string, call: string): Tree;
  /** Takes a name away, unless others read through the file. */
  remove(path: string, place: TreePlace, node: MemoryNode): void;
  /** ENOSPC or EDQUOT when the personality says so. */
  spend(path: string, call: string): void;
  statOf(path: string, node: MemoryNode): FileStat;
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

/** The world as a node sees it: GPFS where it is mounted, else the ordinary directory underneath. */
export function worldOf(gpfs: MemoryGround): World {
  const world: World = {
    gpfs,
    find: (path, call) => gpfs.treeOf(path).find(path, call),
    file: (path, call) => {
      const node = world.find(path, call);
      return node.kind === 'directory' ? fail('EISDIR', call, path) : node;
    },
    create: (path, kind, mode) => {
      const tree = gpfs.treeOf(path);
      const place = tree.place(path, 'open');
      if (place.directory.entries.has(place.name)) fail('EEXIST', 'open', path);
      world.spend(path, 'open');
      const node = tree.make(kind, mode, gpfs.now());
      enter(place, node, 'open', path);
      return node;
    },
    oneFileset: (from, to, call) => {
      const tree = gpfs.treeOf(from);
      if (tree !== gpfs.treeOf(to)) fail('EXDEV', call, to);
      const apart = gpfs.filesetOf(directoryOf(from)) !== gpfs.filesetOf(directoryOf(to));
      return tree === gpfs.tree && apart ? fail('EXDEV', call, to) : tree;
    },
    remove: (path, place, node) => {
      const onGpfs = gpfs.treeOf(path) === gpfs.tree;
      const refusal = onGpfs ? removalRefused(gpfs, node.inode) : undefined;
      if (refusal !== undefined && node.names === 1) fail(refusal, 'unlink', path);
      leave(place);
      if (onGpfs) gpfs.dropUnused(node);
    },
    spend: (path, call) => {
      const code = gpfs.treeOf(path) === gpfs.tree ? noSpace(gpfs.personality) : undefined;
      if (code !== undefined) fail(code, call, path);
    },
    statOf: (path, node) => statOf(gpfs, gpfs.treeOf(path), node),
  };
  return world;
}

const statOf = (gpfs: MemoryGround, tree: Tree, node: MemoryNode): FileStat => ({
  kind: node.kind,
  device: tree.device,
  inode: BigInt(node.inode),
  size: node.size,
  links:
    node.names +
    (tree === gpfs.tree && gpfs.personality.linkCount ? gpfs.childCount(node.inode) : 0),
  mode: node.mode,
  modifiedMs: node.modifiedMs,
  changedMs: Math.max(node.bornMs, node.modifiedMs),
  uid: 0,
});
