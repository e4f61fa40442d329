import { z } from 'zod';
import { invalid } from '../fault.ts';

/** How the value of a key reads in a class, and how the record of a volume holds it. */
export interface ValueForm {
  /** Decodes the text of a class. Its messages continue from `key "…"`. */
  readonly read: z.ZodType;
  /** The value in a record, under the same rules: who can write in a root must not reach further than a class. */
  readonly recorded: z.ZodType;
}

/** What documentation says of a key. */
interface Help {
  /** Which values there are. */
  readonly value: string;
  readonly default: string;
  readonly meaning: string;
}

/** One key of a class. */
export type ParameterKey = Help & { readonly form: ValueForm } & (
    | {
        /** The part of a volume's record that keeps the value. */
        readonly kept: 'attributes' | 'options';
        /** Its name there; the key itself where this is absent. */
        readonly keptAs?: string;
        /** A VolumeAttributesClass may change it. */
        readonly mutable?: true;
      }
    | {
        /** Kept among the options, after all others: it counts once, when the file system is made. */
        readonly kept: 'format';
        readonly keptAs?: string;
        readonly mutable?: undefined;
      }
    | {
        /** Not kept: it counts once, when the volume is made. */
        readonly kept?: undefined;
        readonly keptAs?: undefined;
        readonly mutable?: undefined;
      }
  );

/** All keys, in the order of documentation and messages. */
export type ParameterTable = Readonly<Record<string, ParameterKey>>;

/** Where the value of a key ends up. */
export type Part = 'attributes' | 'options' | 'format' | 'creation';

type PartOfKey<Key extends ParameterKey> = Key extends { readonly kept: infer In extends Part }
  ? In
  : 'creation';

type KeysIn<Table extends ParameterTable, In extends Part> = {
  [Key in keyof Table]: PartOfKey<Table[Key]> extends In ? Key : never;
}[keyof Table];

type NameOf<Table extends ParameterTable, Key extends keyof Table> = Table[Key] extends {
  readonly keptAs: infer Name extends string;
}
  ? Name
  : Key;

/** What a class says: a value of each key that it names. */
export type Decoded<Table extends ParameterTable> = {
  readonly [Key in keyof Table]?: z.output<Table[Key]['form']['read']> | undefined;
};

/** One part of what a class says. */
export type DecodedPart<Table extends ParameterTable, In extends Part> = {
  readonly [Key in KeysIn<Table, In> as NameOf<Table, Key>]?:
    z.output<Table[Key]['form']['read']> | undefined;
};

/** One part of a table as a record holds it. */
export type RecordedPart<Table extends ParameterTable, In extends Part> = {
  readonly [Key in KeysIn<Table, In> as NameOf<Table, Key>]?:
    z.output<Table[Key]['form']['recorded']> | undefined;
};

type RecordedShape<Table extends ParameterTable, In extends Part> = {
  readonly [Key in KeysIn<Table, In> as NameOf<Table, Key>]: z.ZodOptional<
    Table[Key]['form']['recorded']
  >;
};

/** The keys that a VolumeAttributesClass may change. */
export type MutableTable<Table extends ParameterTable> = {
  readonly [
    Key in keyof Table as Table[Key] extends { readonly mutable: true } ? Key : never
  ]: Table[Key];
};

/**
 * Decodes a class by a table. The decoder throws invalid-request on `field` for a key that the table does not have,
 * and after that for the first wrong value, in the order of the table.
 */
export function decoderOf<Table extends ParameterTable>(
  table: Table,
  field: string,
): (said: ReadonlyMap<string, string>) => Decoded<Table> {
  const known = Object.keys(table);
  const forms = Object.entries(table).map(
    ([key, { form }]) => [key, form.read.optional()] as const,
  );
  const schema = z.object(Object.fromEntries(forms));
  return (said) => {
    for (const key of said.keys()) requireKnown(field, key, known);
    const result = schema.safeParse(Object.fromEntries(said));
    if (result.success) return result.data as Decoded<Table>;
    const issue = result.error.issues[0];
    const key = String(issue?.path[0]);
    throw invalid(
      field,
      `key "${key}" ${issue?.message ?? 'is wrong'}, not ${JSON.stringify(said.get(key))}`,
    );
  };
}

function requireKnown(field: string, key: string, known: readonly string[]): void {
  if (known.includes(key)) return;
  throw invalid(field, `has an unknown key ${JSON.stringify(key)}; known are ${known.join(', ')}`);
}

const entriesIn = (table: ParameterTable, part: Part) =>
  Object.entries(table).filter(([, { kept = 'creation' }]) => kept === part);

/** The values that belong to one part, under their names there; undefined for what the class does not say. */
export const partOf = <Table extends ParameterTable, In extends Part>(
  table: Table,
  part: In,
  decoded: Decoded<Table>,
): DecodedPart<Table, In> =>
  Object.fromEntries(
    entriesIn(table, part).map(([key, { keptAs = key }]) => [keptAs, decoded[key]]),
  ) as DecodedPart<Table, In>;

/** The fields of a record that hold these parts, in the order that they are written in. */
export const recordShape = <Table extends ParameterTable, In extends Part>(
  table: Table,
  ...parts: readonly In[]
): RecordedShape<Table, In> =>
  Object.fromEntries(
    parts
      .flatMap((part) => entriesIn(table, part))
      .map(([key, { keptAs = key, form }]) => [keptAs, form.recorded.optional()]),
  ) as RecordedShape<Table, In>;

/** The part of a table that a VolumeAttributesClass may change. */
export const mutableOf = <Table extends ParameterTable>(table: Table): MutableTable<Table> =>
  Object.fromEntries(
    Object.entries(table).filter(([, { mutable }]) => mutable === true),
  ) as MutableTable<Table>;

/** The table as a page of documentation has it, in Markdown. */
export function documentationOf(table: ParameterTable): string {
  const head =
    '| parameter | value | default | changes | meaning |\n| --- | --- | --- | --- | --- |';
  const rows = Object.entries(table).map(
    ([key, { value, default: otherwise, mutable, meaning }]) =>
      `| \`${key}\` | ${value} | ${otherwise} | ${mutable ? 'yes' : 'no'} | ${meaning} |`,
  );
  return [head, ...rows].join('\n');
}
