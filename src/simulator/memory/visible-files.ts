import type { Bytes } from '../../model/bytes.ts';
import type { FileStat } from '../../run/files.ts';
import { removalRefused } from '../core/clone.ts';
import type { MemoryGround } from './ground.ts';
import { noSpace } from '../core/personality.ts';
import { fail } from '../core/errno.ts';
import {
  enter,
  leave,
  type MemoryNode,
  type DirectoryEntry,
  type MemoryFileSystem,
} from './file-system.ts';

/** The size of a block in process: the least that GPFS copies and charges. */
export const blockBytes: Bytes = 4n * 1024n * 1024n;

/** The files that a node sees, for the calls on them: finds, makes and removes them, and refuses what GPFS refuses. */
export interface VisibleFiles {
  readonly gpfs: MemoryGround;
  find(path: string, call: string): MemoryNode;
  /** Like `find`, but fails with EISDIR for a directory. */
  file(path: string, call: string): MemoryNode;
  create(path: string, kind: MemoryNode['kind'], mode: number): MemoryNode;
  /** The file system that holds both paths. EXDEV when they are in two file systems or two filesets. */
  oneFileset(from: string, to: string, call: string): MemoryFileSystem;
  /** Removes a name. Fails when it is the last one and other files read through this file. */
  remove(path: string, place: DirectoryEntry, node: MemoryNode): void;
  /** Fails with ENOSPC or EDQUOT when the personality has no space. */
  spend(path: string, call: string): void;
  statOf(path: string, node: MemoryNode): FileStat;
}

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

/** What a node sees: GPFS where it is mounted, else the ordinary directory under the mount point. */
export function visibleFilesOf(gpfs: MemoryGround): VisibleFiles {
  const visible: VisibleFiles = {
    gpfs,
    find: (path, call) => gpfs.fileSystemOf(path).find(path, call),
    file: (path, call) => {
      const node = visible.find(path, call);
      return node.kind === 'directory' ? fail('EISDIR', call, path) : node;
    },
    create: (path, kind, mode) => {
      const fileSystem = gpfs.fileSystemOf(path);
      const place = fileSystem.entryAt(path, 'open');
      if (place.directory.entries.has(place.name)) fail('EEXIST', 'open', path);
      visible.spend(path, 'open');
      const node = fileSystem.make(kind, mode, gpfs.now());
      enter(place, node, 'open', path);
      return node;
    },
    oneFileset: (from, to, call) => {
      const fileSystem = gpfs.fileSystemOf(from);
      if (fileSystem !== gpfs.fileSystemOf(to)) fail('EXDEV', call, to);
      const apart = gpfs.filesetOf(directoryOf(from)) !== gpfs.filesetOf(directoryOf(to));
      return fileSystem === gpfs.shared && apart ? fail('EXDEV', call, to) : fileSystem;
    },
    remove: (path, place, node) => {
      const onGpfs = gpfs.fileSystemOf(path) === gpfs.shared;
      const refusal = onGpfs ? removalRefused(gpfs, node.inode) : undefined;
      if (refusal !== undefined && node.names === 1) fail(refusal, 'unlink', path);
      leave(place);
      if (onGpfs) gpfs.dropUnused(node);
    },
    spend: (path, call) => {
      const code = gpfs.fileSystemOf(path) === gpfs.shared ? noSpace(gpfs.personality) : undefined;
      if (code !== undefined) fail(code, call, path);
    },
    statOf: (path, node) => statOf(gpfs, gpfs.fileSystemOf(path), node),
  };
  return visible;
}

const statOf = (gpfs: MemoryGround, fileSystem: MemoryFileSystem, node: MemoryNode): FileStat => ({
  kind: node.kind,
  device: fileSystem.device,
  inode: BigInt(node.inode),
  size: node.size,
  links:
    node.names +
    (fileSystem === gpfs.shared && gpfs.personality.linkCount ? gpfs.childCount(node.inode) : 0),
  mode: node.mode,
  modifiedMs: node.modifiedMs,
  changedMs: Math.max(node.bornMs, node.modifiedMs),
  uid: 0,
  gid: 0,
});
