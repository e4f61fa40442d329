import { dirname } from 'node:path';
import type { FileKey } from '../model/ids.ts';
import { errnoOf, type Files } from '../run/files.ts';
import { makeIn } from '../run/directories.ts';
import { isKey, type Layout } from './layout.ts';

/**
 * The clone graph downwards: an empty file for each (parent, child), made before the clone itself. So a parent
 * with ten thousand children has no record that all of them change.
 */
export interface Edges {
  add(parent: FileKey, child: FileKey): Promise<void>;
  /** Resolves too when there is none. */
  remove(parent: FileKey, child: FileKey): Promise<void>;
  children(parent: FileKey): Promise<readonly FileKey[]>;
}

/** The edges kept in one root. */
export function edgesOf(files: Files, layout: Layout): Edges {
  return {
    add: async (parent, child) => {
      const path = layout.edge(parent, child);
      try {
        await makeIn(files, dirname(path), () => files.createSparse(path, 0n, 0o640));
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
    },
    remove: async (parent, child) => {
      await ignoring(files.unlink(layout.edge(parent, child)), 'ENOENT');
      // Another child may come at this moment: its edge keeps the directory.
      await ignoring(files.removeDirectory(layout.edges(parent)), 'ENOENT', 'ENOTEMPTY', 'EEXIST');
    },
    children: async (parent) => {
      try {
        return (await files.list(layout.edges(parent))).filter(isKey);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    },
  };
}

/** Waits, and takes these errno names for success. */
export async function ignoring(call: Promise<void>, ...codes: readonly string[]): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!codes.includes(errnoOf(error) ?? '')) throw error;
  }
}
