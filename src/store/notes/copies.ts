import { join } from 'node:path';
import { isRootId, type FileKey } from '../../model/ids.ts';
import { undefinedWhenMissing, type Files } from '../../run/files.ts';
import { makeIn } from '../../run/directories.ts';
import { ignoring } from '../edges.ts';
import { isKey, type Layout } from '../layout.ts';

/** A volume of another root that is filled from a clone parent of this one. */
export interface Copy {
  readonly parent: FileKey;
  /** Root that the volume lies in, and the file that is filled. */
  readonly to: string;
  readonly child: FileKey;
}

/**
 * Edges that lead into another root, noted before they are made and until after they are gone: nothing else in
 * this root tells them from edges to files that were removed.
 */
export interface Copies {
  add(copy: Copy): Promise<void>;
  /** Resolves too when there is none. */
  remove(copy: Copy): Promise<void>;
  all(): Promise<readonly Copy[]>;
}

/** What is copied out of one root. */
export function copiesOf(files: Files, { copies }: Pick<Layout, 'copies'>): Copies {
  const pathOf = ({ parent, to, child }: Copy) => join(copies, [parent, to, child].join('@'));
  return {
    add: async (copy) => {
      const path = pathOf(copy);
      const make = makeIn(files, copies, async () => {
        await files.createSparse(path, 0n, 0o640);
      });
      await ignoring(make, 'EEXIST');
    },
    remove: (copy) => ignoring(files.unlink(pathOf(copy)), 'ENOENT'),
    all: async () => {
      const names = (await files.list(copies).catch(undefinedWhenMissing)) ?? [];
      return names.flatMap((name) => {
        const [parent, to, child, ...more] = name.split('@');
        if (parent === undefined || to === undefined || child === undefined) return [];
        if (more.length > 0 || !isKey(parent) || !isKey(child) || !isRootId(to)) return [];
        return [{ parent, to, child }];
      });
    },
  };
}
