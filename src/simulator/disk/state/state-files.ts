import {
  mkdirSync,
  opendirSync,
  linkSync,
  lstatSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../../run/files.ts';
import type { FileRecord, Inode } from '../../core/ground.ts';
import { readJson, type SimulatorLayout } from './layout.ts';

/** The state of one inode: the record of the state machine, and how to recognise the file. */
export interface StateFile {
  readonly record: FileRecord;
  /** XFS reuses inode numbers; number and time of birth together are unique. */
  readonly birth: string;
  /** The last known path. Other programs may have moved the file since. */
  readonly path: string;
  /** For a parent: what must not change any more. */
  readonly frozen: FrozenState | undefined;
}

export interface FrozenState {
  readonly size: string;
  readonly modifiedNs: string;
}

/** State files, and the links that tie children to their parents. The links are on the simulated file system. */
export interface StateFiles {
  read(inode: Inode): StateFile | undefined;
  write(file: StateFile): void;
  remove(inode: Inode): void;
  /** All inodes that have state. */
  all(): readonly Inode[];
  /** The link for one child: a further name of the parent, so that the kernel counts links as GPFS does. */
  linkOf(parent: Inode, child: Inode): string;
  /** Children that have a link to a parent, at most `limit`. Some may no longer exist. */
  childrenOf(parent: Inode, limit?: number): readonly Inode[];
  hang(child: Inode, parent: Inode, parentPath: string): void;
  cut(child: Inode, parent: Inode): void;
}

/** State in the simulator's directory, links below its mount. */
export function stateFiles(layout: SimulatorLayout): StateFiles {
  const records = join(layout.state, 'inodes');
  const children = join(layout.hidden, 'children');
  const fileOf = (inode: Inode): string => join(records, `${inode}.json`);
  const linkOf = (parent: Inode, child: Inode): string => join(children, parent, child);
  return {
    read: (inode) => readJson(fileOf(inode)) as StateFile | undefined,
    write: (file) => {
      writeWhole(fileOf(file.record.inode), JSON.stringify(file));
    },
    remove: (inode) => {
      unlinkIfThere(fileOf(inode));
    },
    all: () => readdirSync(records).flatMap((name) => /^(\d+)\.json$/.exec(name)?.[1] ?? []),
    linkOf,
    childrenOf: (parent, limit = Infinity) => firstNames(join(children, parent), limit),
    hang: (child, parent, parentPath) => {
      const path = linkOf(parent, child);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      ignoring(['EEXIST'], () => {
        linkSync(parentPath, path);
      });
    },
    cut: (child, parent) => {
      unlinkIfThere(linkOf(parent, child));
      ignoring(['ENOENT', 'ENOTEMPTY', 'EEXIST'], () => {
        rmdirSync(join(children, parent));
      });
    },
  };
}

/** Runs `act`; ignores these errors, which show that it was done before. */
function ignoring(codes: readonly string[], act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!codes.includes(errnoOf(error) ?? '')) throw error;
  }
}

export const unlinkIfThere = (path: string): void => {
  ignoring(['ENOENT', 'ENOTDIR'], () => {
    unlinkSync(path);
  });
};

/** Replaces a file in one step: no reader sees half of it. */
export function writeWhole(path: string, text: string): void {
  const draft = `${path}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}

/** lstat, or undefined when nothing is there. */
export function lookAt(path: string) {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

// Reads names one by one: a parent may have thousands of children, and most callers need one.
function firstNames(directory: string, limit: number): readonly string[] {
  const names: string[] = [];
  ignoring(['ENOENT', 'ENOTDIR'], () => {
    const entries = opendirSync(directory);
    try {
      let entry = entries.readSync();
      while (entry && names.length < limit) {
        names.push(entry.name);
        entry = entries.readSync();
      }
    } finally {
      entries.closeSync();
    }
  });
  return names;
}
