import { createHash } from 'node:crypto';
import type { Inode } from '../core/ground.ts';
import type { MemoryGround } from './ground.ts';
import { isMounted } from '../core/personality.ts';
import { fail } from '../core/errno.ts';
import { pathsBelow, type MemoryNode } from './file-system.ts';

export interface CloneNode {
  readonly parent: Inode | undefined;
  readonly children: readonly Inode[];
  readonly isParent: boolean;
  readonly depth: number;
  readonly path: string | undefined;
}

/** A file that is held open, as a loop device does. It stays readable and writable after its name is removed. */
export interface OpenFile {
  readonly inode: Inode;
  write(block: number, value: string): void;
  read(block: number): string | undefined;
  close(): void;
}

/** Access to the data for tests, which goes around the ports: no faults, no counts, no waiting. */
export function directAccess(ground: MemoryGround) {
  const find = (path: string): MemoryNode => ground.shared.find(path, 'open');
  const open = (path: string, how: 'read' | 'write' = 'write'): OpenFile =>
    openNode(ground, find(path), path, how);
  return {
    open,
    write: (path: string, block: number, value: string): void => {
      const file = open(path);
      file.write(block, value);
      file.close();
    },
    readBlock: (path: string, block: number) => ground.blockOf(find(path).inode, block),
    heldBlocks: (path: string) => find(path).blocks.size,
    hash: (path: string) => hashOf(ground, find(path)),
    paths: () => pathsBelow(ground.shared.root, ground.mountPoint),
    strayPaths: () => pathsBelow(ground.local.find(ground.mountPoint, 'open'), ground.mountPoint),
    tree: () => forest(ground),
  };
}

function openNode(
  ground: MemoryGround,
  node: MemoryNode,
  path: string,
  how: 'read' | 'write',
): OpenFile {
  if (!isMounted(ground.personality)) fail('ESTALE', 'open', path);
  if (how === 'write' && ground.record(node.inode)?.isParent) fail('EROFS', 'open', path);
  if (how === 'write') node.writers += 1;
  else node.readers += 1;
  let closed = false;
  return {
    inode: node.inode,
    write: (block, value) => {
      if (how === 'read' || closed) fail('EBADF', 'write', path);
      if (ground.record(node.inode)?.isParent) fail('EROFS', 'write', path);
      node.blocks.set(block, value);
      node.modifiedMs = ground.now();
    },
    read: (block) => ground.blockOf(node.inode, block),
    close: () => {
      if (closed) return;
      closed = true;
      if (how === 'write') node.writers -= 1;
      else node.readers -= 1;
      ground.dropUnused(node);
    },
  };
}

function hashOf(ground: MemoryGround, node: MemoryNode): string {
  const blocks = [...ground.contentOf(node.inode)].sort(([a], [b]) => a - b);
  const hash = createHash('sha256');
  hash.update(JSON.stringify([String(node.size), blocks]));
  return hash.digest('hex');
}

function forest(ground: MemoryGround): ReadonlyMap<Inode, CloneNode> {
  const placed = [...ground.records.values()].filter(
    (record) => record.isParent || record.parent !== undefined,
  );
  const names = namesByInode(ground.shared.root, ground.mountPoint);
  return new Map(
    placed.map(({ inode, parent, isParent, depth }) => [
      inode,
      {
        parent,
        isParent,
        depth,
        path: names.get(inode),
        children: placed.filter((other) => other.parent === inode).map((other) => other.inode),
      },
    ]),
  );
}

function namesByInode(node: MemoryNode, path: string): ReadonlyMap<Inode, string> {
  const below = [...node.entries].flatMap(([name, entry]) => [
    ...namesByInode(entry, `${path}/${name}`),
  ]);
  return new Map(node.kind === 'file' ? [[node.inode, path]] : below);
}
