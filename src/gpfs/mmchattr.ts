import type { Run } from '../run/run.ts';

/** Attributes to give to a file; an absent one stays as it is. */
export interface AttributeChange {
  readonly pool?: string | undefined;
  readonly dataReplicas?: number | undefined;
  readonly metadataReplicas?: number | undefined;
  readonly directIo?: boolean | undefined;
  readonly blockGroupFactor?: number | undefined;
  readonly writeAffinityDepth?: number | undefined;
  readonly writeAffinityFailureGroup?: string | undefined;
}

/** `mmchattr`, once for all of them; nothing is run when there is nothing to change. */
export const mmchattr =
  (run: Run) =>
  async (path: string, change: AttributeChange): Promise<void> => {
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
} as const satisfies Record<keyof AttributeChange, string>;

/** The arguments that stand for a change. */
export const attributeArguments = (change: AttributeChange): readonly string[] =>
  (Object.keys(flags) as (keyof AttributeChange)[]).flatMap((name) => {
    const value = change[name];
    return value === undefined ? [] : [flags[name], text(value)];
  });

const text = (value: string | number | boolean): string =>
  typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
