import { join } from 'node:path';
import { isLocalId } from '../model/ids.ts';
import { errnoOf, type Files } from '../run/files.ts';
import { makeIn } from '../run/directories.ts';
import { ignoring } from './edges.ts';
import type { Layout } from './layout.ts';

/** Which volumes are attached to a node, as empty files: what the attach limit counts. */
export interface AttachedIndex {
  add(node: string, volume: string): Promise<void>;
  remove(node: string, volume: string): Promise<void>;
  of(node: string): Promise<readonly string[]>;
}

/** The index kept in one root. */
export function attachedIndexOf(files: Files, layout: Layout): AttachedIndex {
  return {
    add: async (node, volume) => {
      const directory = layout.attached(node);
      const make = makeIn(files, directory, async () => {
        await files.createSparse(join(directory, volume), 0n, 0o640);
      });
      await ignoring(make, 'EEXIST');
    },
    remove: (node, volume) => ignoring(files.unlink(join(layout.attached(node), volume)), 'ENOENT'),
    of: async (node) => {
      try {
        return (await files.list(layout.attached(node))).filter(isLocalId);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    },
  };
}
