import type { FileAttributes } from '../model/class/parameters.ts';
import type { Run } from '../run/run.ts';

/** `mmchattr`, once for all attributes: an absent one stays as it is, and without any nothing is run. */
export const mmchattr =
  (run: Run) =>
  async (path: string, change: FileAttributes): Promise<void> => {
    const args = attributeArguments(change);
    if (args.length > 0) await run(['mmchattr', ...args, path], 'write');
  };

const flags = {
  pool: '-P',
  metadataReplicas: '-m',
  dataReplicas: '-r',
  directIo: '-D',
  blockGroupFactor: '--block-group-factor',
  writeAffinityDepth: '--write-affinity-depth',
  writeAffinityFailureGroup: '--write-affinity-failure-group',
} as const satisfies Record<keyof FileAttributes, string>;

/** The arguments that stand for a change. */
export const attributeArguments = (change: FileAttributes): readonly string[] =>
  (Object.keys(flags) as (keyof FileAttributes)[]).flatMap((name) => {
    const value = change[name];
    return value === undefined ? [] : [flags[name], text(value)];
  });

const text = (value: string | number | boolean): string =>
  typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
