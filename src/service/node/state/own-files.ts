import { dirname } from 'node:path';
import { makeIn } from '../../../run/directories.ts';
import { errnoOf, undefinedWhenMissing, type Files } from '../../../run/files.ts';

/** Small files on this node's own disk, each with one writer at a time. */
export interface OwnFiles {
  /** Whole or not at all; durable when it resolves. Makes the directory where it is missing. */
  replace(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
}

// A name of its own for each file, not for each attempt: the next one finds what a driver that died half way left.
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
