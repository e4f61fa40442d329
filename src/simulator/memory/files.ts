import { roundUp, type Bytes } from '../../model/bytes.ts';
import type { FileStat, Range, Space } from '../../run/files.ts';
import { renameRefused } from '../core/clone.ts';
import type { MemoryGround } from './ground.ts';
import { blockBytes, worldOf, type World } from './world.ts';
import { fail } from '../core/strerror.ts';
import { enter, leave, textBlock, type MemoryNode } from './tree.ts';

/** The calls of the Files port, done at once; the ports in front of them wait, count and break. */
export type FilesNow = ReturnType<typeof filesNow>;

/** Files over the trees in memory, refusing what GPFS refuses. */
export const filesNow = (gpfs: MemoryGround) => {
  const world = worldOf(gpfs);
  return {
    ...contentCalls(world),
    ...rangeCalls(world),
    ...nameCalls(world),
    ...directoryCalls(world),
  };
};

const contentCalls = (world: World) => ({
  read: (path: string): string => {
    const node = world.file(path, 'open');
    const { gpfs } = world;
    const onGpfs = gpfs.treeOf(path) === gpfs.tree;
    return (onGpfs ? gpfs.blockOf(node.inode, textBlock) : node.blocks.get(textBlock)) ?? '';
  },
  createDurable: (path: string, text: string, mode: number): void => {
    const node = world.create(path, 'file', mode);
    node.blocks.set(textBlock, text);
    node.size = BigInt(Buffer.byteLength(text));
  },
  createSparse: (path: string, size: Bytes, mode: number): FileStat => {
    const node = world.create(path, 'file', mode);
    node.size = size;
    return world.statOf(path, node);
  },
  grow: (path: string, size: Bytes): FileStat => {
    const node = world.file(path, 'ftruncate');
    if (world.gpfs.record(node.inode)?.isParent) fail('EROFS', 'open', path);
    if (size > node.size) {
      world.spend(path, 'ftruncate');
      node.size = size;
      node.modifiedMs = world.gpfs.now();
    }
    return world.statOf(path, node);
  },
  stat: (path: string): FileStat => world.statOf(path, world.find(path, 'lstat')),
  held: (path: string): Bytes => BigInt(world.find(path, 'lstat').blocks.size) * blockBytes,
  chmod: (path: string, mode: number): void => {
    world.find(path, 'chmod').mode = mode;
  },
  touch: (path: string): void => {
    world.find(path, 'utime').modifiedMs = world.gpfs.now();
  },
});

const rangeCalls = (world: World) => ({
  copyRange: (from: string, to: string, range: Range): void => {
    const source = world.file(from, 'open');
    const target = written(world, to);
    for (const [block, value] of world.gpfs.contentOf(source.inode))
      if (isIn(block, range)) target.blocks.set(block, value);
  },
  writeZeros: (path: string, _range: Range): void => {
    written(world, path);
  },
  stat: (path: string): FileStat => world.statOf(path, world.find(path, 'lstat')),
  held: (path: string): Bytes => BigInt(world.find(path, 'lstat').blocks.size) * blockBytes,
  chmod: (path: string, mode: number): void => {
    const node = world.find(path, 'chmod');
    const { gpfs } = world;
    const fixed = !gpfs.personality.chmodParent && gpfs.record(node.inode)?.isParent === true;
    if (fixed && gpfs.treeOf(path) === gpfs.tree) fail('EROFS', 'chmod', path);
    node.mode = mode;
  },
  touch: (path: string): void => {
    world.find(path, 'utime').modifiedMs = world.gpfs.now();
  },
});

/** A file that can be written to, on a file system that takes it. */
function written(world: World, path: string): MemoryNode {
  const node = world.file(path, 'open');
  if (world.gpfs.record(node.inode)?.isParent) fail('EROFS', 'open', path);
  world.spend(path, 'write');
  return node;
}

const isIn = (block: number, { offset, length }: Range): boolean => {
  const at = BigInt(block) * blockBytes;
  return at >= offset && at < offset + length;
};

const nameCalls = (world: World) => ({
  link: (existing: string, path: string): void => {
    const node = world.file(existing, 'link');
    const tree = world.oneFileset(existing, path, 'link');
    enter(tree.place(path, 'link'), node, 'link', path);
  },
  rename: (from: string, to: string): void => {
    const node = world.find(from, 'rename');
    const tree = world.oneFileset(from, to, 'rename');
    const place = tree.place(to, 'rename');
    const over = place.directory.entries.get(place.name);
    if (over === node) return;
    const refusal = tree === world.gpfs.tree ? renameRefused(world.gpfs, node.inode) : undefined;
    if (refusal !== undefined) fail(refusal, 'rename', from);
    if (over) {
      checkReplaceable(node, over, to);
      world.remove(to, place, over);
    }
    leave(tree.place(from, 'rename'));
    enter(place, node, 'rename', to);
  },
  unlink: (path: string): void => {
    const node = world.file(path, 'unlink');
    world.remove(path, world.gpfs.treeOf(path).place(path, 'unlink'), node);
  },
});

const directoryCalls = (world: World) => ({
  makeDirectory: (path: string, mode: number): void => {
    const tree = world.gpfs.treeOf(path);
    if (path === tree.mountPoint) return;
    const { directory, name } = tree.place(path, 'mkdir');
    if (directory.entries.get(name)?.kind === 'directory') return;
    world.create(path, 'directory', mode);
  },
  removeDirectory: (path: string): void => {
    const node = world.find(path, 'rmdir');
    const { gpfs } = world;
    if (node.kind !== 'directory') fail('ENOTDIR', 'rmdir', path);
    const junction = gpfs.filesets().some(({ rootInode }) => rootInode === node.inode);
    if (junction && gpfs.treeOf(path) === gpfs.tree) fail('EPERM', 'rmdir', path);
    if (node.entries.size > 0) fail('ENOTEMPTY', 'rmdir', path);
    const tree = gpfs.treeOf(path);
    leave(tree.place(path, 'rmdir'));
    tree.nodes.delete(node.inode);
  },
  list: (path: string): readonly string[] => {
    const node = world.find(path, 'scandir');
    return node.kind === 'directory'
      ? [...node.entries.keys()].sort()
      : fail('ENOTDIR', 'scandir', path);
  },
  syncDirectory: (path: string): void => {
    if (world.find(path, 'fsync').kind !== 'directory') fail('ENOTDIR', 'fsync', path);
  },
  space: (path: string): Space => {
    world.find(path, 'statfs');
    const { gpfs } = world;
    return gpfs.treeOf(path) === gpfs.tree ? gpfsSpace(gpfs) : localSpace;
  },
});

function checkReplaceable(node: MemoryNode, over: MemoryNode, path: string): void {
  if (node.kind === 'directory' && over.kind !== 'directory') fail('ENOTDIR', 'rename', path);
  if (node.kind !== 'directory' && over.kind === 'directory') fail('EISDIR', 'rename', path);
  if (over.entries.size > 0) fail('ENOTEMPTY', 'rename', path);
}

const localSpace: Space = {
  total: 1n << 35n,
  used: 1n << 34n,
  available: 1n << 34n,
  inodes: 1_000_000n,
  inodesFree: 900_000n,
};

function gpfsSpace(gpfs: MemoryGround): Space {
  const total = roundUp((gpfs.pools[0]?.totalKiB ?? 0n) * 1024n, blockBytes);
  const files = [...gpfs.tree.nodes.values()];
  const used = files.reduce((sum, { blocks }) => sum + BigInt(blocks.size) * blockBytes, 0n);
  const { full } = gpfs.personality;
  return {
    total,
    used: full ? total : used,
    available: full ? 0n : total - used,
    inodes: 513_024n,
    inodesFree: 513_024n - BigInt(files.length),
  };
}
