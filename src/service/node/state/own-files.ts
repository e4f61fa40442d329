import { dirname } from 'node:path';
import { makeIn } from '../../../run/directories.ts';
import { errnoOf, undefinedWhenMissing, type Files } from '../../../run/files.ts';

/** Small files on this node's own disk, each with one writer at a time. */
export interface OwnFiles {
  /** Writes the whole file or nothing; durable when it resolves. Makes a missing directory. */
  replace(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
}

// One name for each file, not one for each attempt: the next attempt finds and replaces what a driver that died left.
const halfOf = (path: string): string => `${path}.half`;

/** Files that are replaced by a rename. */
export const ownFiles = (files: Files): OwnFiles => ({
  replace: async (path, text) => {
    const half = halfOf(path);
    const write = () => files.createDurable(half, text, 0o600);
    await makeIn(files, dirname(path), write, 0o700).catch(async (error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
      await files.unlink(half);
      await write();
    });
    await files.rename(half, path);
    await files.syncDirectory(dirname(path));
  },
  remove: async (path) => {
    for (const each of [path, halfOf(path)]) await files.unlink(each).catch(undefinedWhenMissing);
    await files.syncDirectory(dirname(path)).catch(undefinedWhenMissing);
  },
});
