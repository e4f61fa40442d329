import { join } from 'node:path';
import type { FileKey } from '../../model/ids.ts';
import type { Nonce } from '../../run/clock.ts';
import { makeIn } from '../../run/directories.ts';
import { undefinedWhenMissing, type Files } from '../../run/files.ts';
import { ignoring } from '../edges.ts';
import { fromText, toText, type BadFiles, undefinedWhenUnreadable } from '../json.ts';
import { isKey, type Layout } from '../layout.ts';
import { recordFormat } from '../schema/data.ts';
import { barredFile, type BarredFile } from '../schema/barred.ts';

/**
 * Notes on names of data files that are barred: a server that is silent announced the file, and another one ended that
 * operation. Each note stays until the first server is known to be gone, or to have ended its work.
 */
export interface Barred {
  /** Durable when it resolves. An earlier note on the same name stays. */
  note(file: Pick<BarredFile, 'key' | 'data' | 'above' | 'claim'>): Promise<void>;
  has(key: FileKey): Promise<boolean>;
  /** All notes that can be read. */
  all(): Promise<readonly BarredFile[]>;
  /** Resolves too when there is none. */
  forget(key: FileKey): Promise<void>;
}

/** The notes kept in one root. */
export function barredOf(
  files: Files,
  { barred, temporary }: Pick<Layout, 'barred' | 'temporary'>,
  nonce: Nonce,
  bad: BadFiles,
): Barred {
  const pathOf = (key: string) => join(barred, key);
  const read = async (path: string): Promise<BarredFile | undefined> => {
    const text = await files.read(path).catch(undefinedWhenMissing);
    return text === undefined ? undefined : fromText(barredFile, text, path);
  };
  return {
    note: async (file) => {
      const draft = join(temporary, `barred-${nonce()}`);
      await files.createDurable(draft, toText({ format: recordFormat, ...file }), 0o640);
      try {
        const link = makeIn(files, barred, () => files.link(draft, pathOf(file.key)));
        await ignoring(link, 'EEXIST');
      } finally {
        await ignoring(files.unlink(draft), 'ENOENT');
      }
      await files.syncDirectory(barred);
    },
    has: async (key) => (await files.stat(pathOf(key)).catch(undefinedWhenMissing)) !== undefined,
    all: async () => {
      const names = (await files.list(barred).catch(undefinedWhenMissing)) ?? [];
      const found = await Promise.all(
        names.filter(isKey).map((name) => read(pathOf(name)).catch(undefinedWhenUnreadable(bad))),
      );
      return found.flatMap((each) => each ?? []);
    },
    forget: (key) => ignoring(files.unlink(pathOf(key)), 'ENOENT'),
  };
}
