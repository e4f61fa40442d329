import { join } from 'node:path';
import type { z } from 'zod';
import { unprobed, type Abilities } from '../model/abilities.ts';
import type { Nonce } from '../run/clock.ts';
import { undefinedWhenMissing, type Files } from '../run/files.ts';
import { fromText, toText } from './json.ts';
import type { Layout } from './layout.ts';
import { abilitiesFile } from './schema/root.ts';

/** The kept file, with who found it out and when. */
export type AbilitiesFile = z.output<typeof abilitiesFile>;

/** What the last probe of a root found out. */
export interface KeptAbilities {
  /** An ability that no probe settled has its value in `unprobed`. */
  read(): Promise<Abilities>;
  /** All that is kept; undefined before the first probe. */
  kept(): Promise<AbilitiesFile | undefined>;
  /** Replaces what is kept; of two writers at once, the text of one stays whole. */
  keep(found: AbilitiesFile): Promise<void>;
}

/** The abilities kept in one root. */
export function abilitiesOf(files: Files, layout: Layout, nonce: Nonce): KeptAbilities {
  const { abilities: path } = layout;
  const kept = async (): Promise<AbilitiesFile | undefined> => {
    const text = await files.read(path).catch(undefinedWhenMissing);
    return text === undefined ? undefined : fromText(abilitiesFile, text, path);
  };
  return {
    kept,
    read: async () => {
      const settled = Object.entries((await kept())?.abilities ?? {});
      const found = settled.filter(([, value]) => value !== undefined);
      return { ...unprobed, ...Object.fromEntries(found) };
    },
    keep: async (found) => {
      const temporary = join(layout.temporary, `abilities-${nonce()}`);
      await files.createDurable(temporary, toText(found), 0o640);
      await files.rename(temporary, path);
      await files.syncDirectory(layout.state);
    },
  };
}
