import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { Nonce } from '../../run/clock.ts';
import { errnoOf } from '../../run/files.ts';
import type { Files } from '../../run/files.ts';

const frozenFile = z.object({
  volumeId: z.string(),
  path: z.string(),
  /** Of the request that it was frozen for. */
  nonce: z.string(),
  untilMs: z.number(),
});
/** A file system of this node that is frozen, or was when the driver died. */
export type Frozen = z.output<typeof frozenFile>;

/** What this node has frozen: written before the freeze, removed after the thaw. */
export interface FrozenNotes {
  write(frozen: Frozen): Promise<void>;
  remove(volumeId: string): Promise<void>;
  /** Those that can be read: of the others the watchdogs take care, and no volume waits for a bad one. */
  all(): Promise<readonly Frozen[]>;
}

/** The notes in `DIRECTORY/frozen`; a boot thaws everything, so that what is left of an earlier one does no harm. */
export function frozenNotes(files: Files, directory: string, nonce: Nonce): FrozenNotes {
  const folder = join(directory, 'frozen');
  const pathOf = (id: string) =>
    join(folder, `${createHash('sha256').update(id, 'utf8').digest('hex')}.json`);
  return {
    write: async (frozen) => {
      const temporary = join(folder, `.${nonce()}`);
      await files.makeDirectory(directory, 0o700);
      await files.makeDirectory(folder, 0o700);
      await files.createDurable(temporary, `${JSON.stringify(frozen)}\n`, 0o600);
      await files.rename(temporary, pathOf(frozen.volumeId));
      await files.syncDirectory(folder);
    },
    remove: async (volumeId) => {
      await files.unlink(pathOf(volumeId)).catch(absent);
    },
    all: async () => {
      const names = (await files.list(folder).catch(absent)) ?? [];
      const texts = await Promise.all(
        names
          .filter((name) => name.endsWith('.json'))
          .map((name) => files.read(join(folder, name)).catch(absent)),
      );
      return texts.flatMap((text) => (text === undefined ? [] : parse(text)));
    },
  };
}

function parse(text: string): readonly Frozen[] {
  try {
    return [frozenFile.parse(JSON.parse(text))];
  } catch {
    return [];
  }
}

const absent = (error: unknown): undefined => {
  if (errnoOf(error) === 'ENOENT') return undefined;
  throw error;
};
