import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { undefinedWhenMissing, type Files } from '../../../run/files.ts';
import { timeMs } from '../../../store/schema/data.ts';
import { ownFiles } from './own-files.ts';

const frozenFile = z.object({
  volumeId: z.string(),
  path: z.string(),
  /** Of the freeze request. */
  nonce: z.string(),
  untilMs: timeMs,
});
/** A file system of this node that is frozen, or was when the driver died. */
export type FrozenNote = z.output<typeof frozenFile>;

/** What this node has frozen: written before the freeze, removed after the thaw. */
export interface FrozenNotes {
  write(frozen: FrozenNote): Promise<void>;
  remove(volumeId: string): Promise<void>;
  /** The notes that can be read. The watchdogs thaw the others, so no volume waits for an unreadable note. */
  all(): Promise<readonly FrozenNote[]>;
}

/** The notes in `DIRECTORY/frozen`. A boot thaws everything, so notes of an earlier boot do no harm. */
export function frozenNotes(files: Files, directory: string): FrozenNotes {
  const own = ownFiles(files);
  const folder = join(directory, 'frozen');
  const pathOf = (id: string) =>
    join(folder, `${createHash('sha256').update(id, 'utf8').digest('hex')}.json`);
  return {
    write: (frozen) => own.replace(pathOf(frozen.volumeId), `${JSON.stringify(frozen)}\n`),
    remove: (volumeId) => own.remove(pathOf(volumeId)),
    all: async () => {
      const names = (await files.list(folder).catch(undefinedWhenMissing)) ?? [];
      const texts = await Promise.all(
        names
          .filter((name) => name.endsWith('.json'))
          .map((name) => files.read(join(folder, name)).catch(undefinedWhenMissing)),
      );
      return texts.flatMap((text) => (text === undefined ? [] : parse(text)));
    },
  };
}

function parse(text: string): readonly FrozenNote[] {
  try {
    return [frozenFile.parse(JSON.parse(text))];
  } catch {
    return [];
  }
}
