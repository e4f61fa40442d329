import { dirname, join } from 'node:path';
import { isLocalId, type LocalId } from '../../model/ids.ts';
import type { Nonce } from '../../run/clock.ts';
import { errnoOf, undefinedWhenMissing, type Files } from '../../run/files.ts';
import { ignoring } from '../edges.ts';
import type { Layout } from '../layout.ts';

/** Volumes that were moved to another root: a handle is permanent, so the root in it says where they are now. */
export interface Moved {
  /** The id of the volume where it is now; undefined when it never left. */
  to(local: LocalId): Promise<string | undefined>;
  /** Durable when it resolves. */
  set(local: LocalId, id: string): Promise<void>;
  clear(local: LocalId): Promise<void>;
  /** Volumes that left this root, those that were deleted since included. */
  all(): Promise<readonly LocalId[]>;
}

/** The notes of one root on volumes that left it. */
export function movedOf(files: Files, layout: Layout, nonce: Nonce): Moved {
  return {
    to: async (local) => {
      try {
        return (await files.read(layout.moved(local))).trim();
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      }
    },
    set: async (local, id) => {
      const temporary = join(layout.temporary, `moved-${nonce()}`);
      await files.createDurable(temporary, `${id}\n`, 0o640);
      await files.rename(temporary, layout.moved(local));
      await files.syncDirectory(dirname(layout.moved(local)));
    },
    all: async () =>
      ((await files.list(layout.movedNotes).catch(undefinedWhenMissing)) ?? []).filter(isLocalId),
    clear: (local) => ignoring(files.unlink(layout.moved(local)), 'ENOENT'),
  };
}
