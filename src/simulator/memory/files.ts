import { roundUp, type Bytes } from '../../model/bytes.ts';
import { isMissing, type FileStat, type Range, type Space } from '../../run/files.ts';
import { renameRefused } from '../core/clone.ts';
import type { MemoryGround } from './ground.ts';
import { blockBytes, visibleFilesOf, type VisibleFiles } from './visible-files.ts';
import { fail } from '../core/errno.ts';
import { enter, leave, textBlock, type MemoryNode } from './file-system.ts';

/** The calls of the Files port, performed at once. `portFiles` adds waiting, counts and faults. */
export type FilesNow = ReturnType<typeof filesNow>;

/** Calls on the file systems in memory, which refuse what GPFS refuses. */
export const filesNow = (gpfs: MemoryGround) => {
  const visible = visibleFilesOf(gpfs);
  return {
    ...contentCalls(visible),
    ...rangeCalls(visible),
    ...nameCalls(visible),
    ...directoryCalls(visible),
  };
};

const contentCalls = (visible: VisibleFiles) => ({
  read: (path: string): string => {
    const node = visible.file(path, 'open');
    const { gpfs } = visible;
    const onGpfs = gpfs.fileSystemOf(path) === gpfs.shared;
    return (onGpfs ? gpfs.blockOf(node.inode, textBlock) : node.blocks.get(textBlock)) ?? '';
  },
  head: (path: string, bytes: number): Uint8Array => {
    const node = visible.file(path, 'open');
    const { gpfs } = visible;
    const onGpfs = gpfs.fileSystemOf(path) === gpfs.shared;
    const written = (onGpfs ? gpfs.blockOf(node.inode, 0) : node.blocks.get(0)) ?? '';
    const head = new Uint8Array(node.size < BigInt(bytes) ? Number(node.size) : bytes);
    head.set(Buffer.from(written, 'latin1').subarray(0, head.length));
    return head;
  },
  createDurable: (path: string, text: string, mode: number): void => {
    const node = visible.create(path, 'file', mode);
    node.blocks.set(textBlock, text);
    node.size = BigInt(Buffer.byteLength(text));
  },
  createSparse: (path: string, size: Bytes, mode: number): FileStat => {
    const node = visible.create(path, 'file', mode);
    node.size = size;
    return visible.statOf(path, node);
  },
  grow: (path: string, size: Bytes): FileStat => {
    const node = visible.file(path, 'ftruncate');
    if (visible.gpfs.record(node.inode)?.isParent) fail('EROFS', 'open', path);
    if (size > node.size) {
      visible.spend(path, 'ftruncate');
      node.size = size;
      node.modifiedMs = visible.gpfs.now();
    }
    return visible.statOf(path, node);
  },
});

const rangeCalls = (visible: VisibleFiles) => ({
  overwrite: (path: string, text: string): void => {
    const node = visible.file(path, 'open');
    if (visible.gpfs.record(node.inode)?.isParent) fail('EROFS', 'open', path);
    const size = BigInt(Buffer.byteLength(text));
    if (size > node.size) visible.spend(path, 'write');
    node.blocks.set(textBlock, text);
    node.size = size;
    node.modifiedMs = visible.gpfs.now();
  },
  copyRange: (from: string, to: string, range: Range): void => {
    const source = visible.file(from, 'open');
    const target = written(visible, to);
    for (const [block, value] of visible.gpfs.contentOf(source.inode))
      if (isIn(block, range)) target.blocks.set(block, value);
  },
  writeZeros: (path: string, _range: Range): void => {
    written(visible, path);
  },
  stat: (path: string): FileStat => visible.statOf(path, visible.find(path, 'lstat')),
  statsIn: (directory: string, names: readonly string[]): readonly (FileStat | undefined)[] => {
    if (visible.find(directory, 'open').kind !== 'directory') fail('ENOTDIR', 'open', directory);
    return names.map((name) => statOrMissing(visible, `${directory}/${name}`));
  },
  held: (path: string): Bytes => BigInt(visible.find(path, 'lstat').blocks.size) * blockBytes,
  chmod: (path: string, mode: number): void => {
    const node = visible.find(path, 'chmod');
    const { gpfs } = visible;
    const fixed = !gpfs.personality.chmodParent && gpfs.record(node.inode)?.isParent === true;
    if (fixed && gpfs.fileSystemOf(path) === gpfs.shared) fail('EROFS', 'chmod', path);
    node.mode = mode;
  },
  touch: (path: string): void => {
    visible.find(path, 'utime').modifiedMs = visible.gpfs.now();
  },
});

function statOrMissing(visible: VisibleFiles, path: string): FileStat | undefined {
  try {
    return visible.statOf(path, visible.find(path, 'lstat'));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The file at a path, after checking that it may be written to: EROFS, ENOSPC, EDQUOT. */
function written(visible: VisibleFiles, path: string): MemoryNode {
  const node = visible.file(path, 'open');
  if (visible.gpfs.record(node.inode)?.isParent) fail('EROFS', 'open', path);
  visible.spend(path, 'write');
  return node;
}

const isIn = (block: number, { offset, length }: Range): boolean => {
  const at = BigInt(block) * blockBytes;
  return at >= offset && at < offset + length;
};

const nameCalls = (visible: VisibleFiles) => ({
  link: (existing: string, path: string): void => {
    const node = visible.file(existing, 'link');
    const fileSystem = visible.oneFileset(existing, path, 'link');
    enter(fileSystem.entryAt(path, 'link'), node, 'link', path);
  },
  rename: (from: string, to: string): void => {
    const node = visible.find(from, 'rename');
    const fileSystem = visible.oneFileset(from, to, 'rename');
    const place = fileSystem.entryAt(to, 'rename');
    const over = place.directory.entries.get(place.name);
    if (over === node) return;
    const refusal =
      fileSystem === visible.gpfs.shared ? renameRefused(visible.gpfs, node.inode) : undefined;
    if (refusal !== undefined) fail(refusal, 'rename', from);
    if (over) {
      checkReplaceable(node, over, to);
      visible.remove(to, place, over);
    }
    leave(fileSystem.entryAt(from, 'rename'));
    enter(place, node, 'rename', to);
  },
  unlink: (path: string): void => {
    const node = visible.file(path, 'unlink');
    visible.remove(path, visible.gpfs.fileSystemOf(path).entryAt(path, 'unlink'), node);
  },
});

const directoryCalls = (visible: VisibleFiles) => ({
  makeDirectory: (path: string, mode: number): void => {
    const fileSystem = visible.gpfs.fileSystemOf(path);
    if (path === fileSystem.mountPoint) return;
    const { directory, name } = fileSystem.entryAt(path, 'mkdir');
    if (directory.entries.get(name)?.kind === 'directory') return;
    visible.create(path, 'directory', mode);
  },
  removeDirectory: (path: string): void => {
    const node = visible.find(path, 'rmdir');
    const { gpfs } = visible;
    if (node.kind !== 'directory') fail('ENOTDIR', 'rmdir', path);
    const junction = gpfs.filesets().some(({ rootInode }) => rootInode === node.inode);
    if (junction && gpfs.fileSystemOf(path) === gpfs.shared) fail('EPERM', 'rmdir', path);
    if (node.entries.size > 0) fail('ENOTEMPTY', 'rmdir', path);
    const fileSystem = gpfs.fileSystemOf(path);
    leave(fileSystem.entryAt(path, 'rmdir'));
    fileSystem.nodes.delete(node.inode);
  },
  list: (path: string): readonly string[] => {
    const node = visible.find(path, 'scandir');
    return node.kind === 'directory'
      ? [...node.entries.keys()].sort()
      : fail('ENOTDIR', 'scandir', path);
  },
  syncDirectory: (path: string): void => {
    if (visible.find(path, 'fsync').kind !== 'directory') fail('ENOTDIR', 'fsync', path);
  },
  space: (path: string): Space => {
    visible.find(path, 'statfs');
    const { gpfs } = visible;
    return gpfs.fileSystemOf(path) === gpfs.shared ? gpfsSpace(gpfs) : localSpace;
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
  const files = [...gpfs.shared.nodes.values()];
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
