import { forgotten } from '../core/clone.ts';
import type { Change, FileRecord, Ground, Inode } from '../core/ground.ts';
import { fail } from '../core/errno.ts';
import { enter, type MemoryNode, type MemoryFileSystem } from './file-system.ts';

/** Clone records and shared blocks of a file system in memory: what GPFS keeps beyond POSIX. */
export interface CloneState {
  readonly records: Map<Inode, FileRecord>;
  childCount(inode: Inode, limit?: number): number;
  apply(change: Change): void;
  /** A block as this file reads it: its own, or that of the nearest ancestor that has the block. */
  blockOf(inode: Inode, block: number): string | undefined;
  /** All blocks that are not holes. */
  contentOf(inode: Inode): ReadonlyMap<number, string>;
  /** Removes an inode that has no name and is not open. */
  dropUnused(ground: Ground, node: MemoryNode): void;
}

/** No clones yet. */
export function cloneState(fileSystem: MemoryFileSystem): CloneState {
  const records = new Map<Inode, FileRecord>();
  const children = new Map<Inode, Set<Inode>>();
  const data = sharedBlocks(fileSystem, records);

  const apply = (change: Change): void => {
    switch (change.do) {
      case 'name':
        nameDraft(fileSystem, change);
        return;
      case 'put':
        records.set(change.record.inode, change.record);
        return;
      case 'forget':
        records.delete(change.inode);
        return;
      case 'hang':
        children.set(change.parent, (children.get(change.parent) ?? new Set()).add(change.child));
        return;
      case 'cut':
        children.get(change.parent)?.delete(change.child);
        return;
      case 'yield':
        nodeOf(fileSystem, change.inode).blocks.clear();
        return;
      case 'absorb':
        data.absorb(change);
        return;
    }
  };
  return {
    records,
    apply,
    blockOf: data.blockOf,
    contentOf: data.contentOf,
    childCount: (inode) => children.get(inode)?.size ?? 0,
    dropUnused: (ground, node) => {
      if (node.names > 0 || node.readers + node.writers > 0) return;
      for (const change of forgotten(ground, node.inode)) apply(change);
      fileSystem.nodes.delete(node.inode);
    },
  };
}

const nodeOf = (fileSystem: MemoryFileSystem, inode: Inode): MemoryNode =>
  fileSystem.nodes.get(inode) ?? fail('ESTALE', 'inode', inode);

type Named = Extract<Change, { do: 'name' }>;

const nameDraft = (fileSystem: MemoryFileSystem, { inode, path }: Named): void => {
  enter(fileSystem.entryAt(path, 'create'), nodeOf(fileSystem, inode), 'create', path);
};

type Absorb = Extract<Change, { do: 'absorb' }>;

function sharedBlocks(fileSystem: MemoryFileSystem, records: ReadonlyMap<Inode, FileRecord>) {
  const blockOf = (inode: Inode, block: number): string | undefined => {
    let at: Inode | undefined = inode;
    while (at !== undefined) {
      const own: string | undefined = fileSystem.nodes.get(at)?.blocks.get(block);
      if (own !== undefined) return own;
      at = records.get(at)?.parent;
    }
    return undefined;
  };
  const contentOf = (inode: Inode): ReadonlyMap<number, string> => {
    const parent = records.get(inode)?.parent;
    const inherited = parent === undefined ? [] : contentOf(parent);
    return new Map([...inherited, ...(fileSystem.nodes.get(inode)?.blocks ?? [])]);
  };
  const absorb = ({ inode, all, most = Infinity, over }: Absorb): void => {
    const parent = records.get(inode)?.parent;
    if (parent === undefined) return;
    const { blocks } = nodeOf(fileSystem, inode);
    const shared = [...(all ? contentOf(parent) : nodeOf(fileSystem, parent).blocks)];
    const missing = shared.filter(([block]) => over !== undefined || !blocks.has(block));
    for (const [block, value] of missing.slice(0, most)) blocks.set(block, value);
  };
  return { blockOf, contentOf, absorb };
}
