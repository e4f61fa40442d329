import { unprobed } from '../model/abilities.ts';
import type { Abilities } from '../model/abilities.ts';
import { errnoOf } from '../run/files.ts';
import type { Files } from '../run/files.ts';
import { fromText } from './json.ts';
import type { Layout } from './layout.ts';
import { abilitiesFile } from './schema.ts';

/** What the last probe of a root found out. */
export interface KeptAbilities {
  /** Where no probe came to something, the answer of `unprobed`. */
  read(): Promise<Abilities>;
}

/** The abilities kept in one root. */
export const abilitiesOf = (files: Files, { abilities: path }: Layout): KeptAbilities => ({
  read: async () => {
    const text = await files.read(path).catch(absent);
    if (text === undefined) return unprobed;
    const { abilities } = fromText(abilitiesFile, text, path);
    const found = Object.entries(abilities).filter(([, value]) => value !== undefined);
    return { ...unprobed, ...Object.fromEntries(found) };
  },
});

const absent = (error: unknown): undefined => {
  if (errnoOf(error) === 'ENOENT') return undefined;
  throw error;
};
