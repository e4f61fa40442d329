import { expect, test } from 'vitest';
import { z } from 'zod';
import { changed, whatIsLeft } from '../../../../src/model/class/mutable.ts';
import { parameterKeys } from '../../../../src/model/class/parameter-keys.ts';
import {
  decoderOf,
  documentationOf,
  mutableOf,
  partOf,
  recordShape,
  type ParameterTable,
} from '../../../../src/model/class/parameter-table.ts';
import { withoutUndefined } from '../../../../src/model/class/parameters.ts';
import { simulateGpfs } from '../../../../src/simulator/memory/gpfs.ts';
import { layoutOf } from '../../../../src/store/layout.ts';
import { badFilesOf } from '../../../../src/store/json.ts';
import { recordsOf } from '../../../../src/store/records.ts';
import { optionsOf, volumeRecord } from '../../../../src/store/schema/volume.ts';

// A new option is one entry of the table: these three are known nowhere else.

const level = {
  read: z.enum(['low', 'high'], 'must be low or high'),
  recorded: z.enum(['low', 'high']),
};
const help = { value: '`low` or `high`', default: '`low`', meaning: 'made up' };

const table = {
  ...parameterKeys,
  urgency: { form: level, kept: 'options', mutable: true, ...help },
  hotness: { form: level, kept: 'attributes', keptAs: 'heat', ...help },
  hurry: { form: level, ...help },
} as const satisfies ParameterTable;

const decodeClass = decoderOf(table, 'parameters');
const mutable = mutableOf(table);
const decodeChange = decoderOf(mutable, 'mutable_parameters');
const asked = (values: Readonly<Record<string, string>>) => new Map(Object.entries(values));

/** The records of volumes in one root, with options by the table of this test. */
async function records() {
  const root = '/gpfs/fs1/csi-data/csi';
  const layout = layoutOf(root);
  const gpfs = simulateGpfs();
  for (const directory of [root, ...layout.fixed]) await gpfs.files.makeDirectory(directory, 0o750);
  const { files, nonce } = gpfs.server('a1');
  const volumes = recordsOf({
    files,
    unguarded: files,
    nonce,
    layout,
    kind: 'volumes',
    schema: volumeRecord.extend({ options: optionsOf(table) }),
    check: () => Promise.resolve(),
    bad: badFilesOf(root),
  });
  const written = (id: string) => files.read(`${layout.recordShard('volumes', id)}/${id}.1`);
  return { volumes, written };
}

const volume = (options: object) =>
  volumeRecord.extend({ options: optionsOf(table) }).parse({
    format: 1,
    id: 'v',
    name: 'v',
    state: 'ready',
    bytes: '1048576',
    asked: { requiredBytes: '0', limitBytes: '0', capabilities: [], parameters: {}, source: null },
    attributes: {},
    options,
    image: null,
    parent: null,
    content: { kind: 'empty' },
    unchanged: true,
    attachments: [],
    createdMs: 0,
    claim: null,
  });

test('is decoded, into the part of the volume that its entry names', () => {
  const decoded = decodeClass(asked({ hotness: 'low', hurry: 'high', urgency: 'high', pool: 'p' }));
  expect(withoutUndefined(partOf(table, 'options', decoded))).toEqual({ urgency: 'high' });
  expect(withoutUndefined(partOf(table, 'attributes', decoded))).toEqual({
    pool: 'p',
    heat: 'low',
  });
  expect(withoutUndefined(partOf(table, 'creation', decoded))).toEqual({ hurry: 'high' });
});

test('is refused where its value is wrong, and unknown to the table without it', () => {
  for (const key of ['urgency', 'hotness', 'hurry']) {
    const wrong = asked({ [key]: 'middling' });
    expect(() => decodeClass(wrong)).toThrow(
      `parameters key "${key}" must be low or high, not "middling"`,
    );
    expect(() => decoderOf(parameterKeys, 'parameters')(wrong)).toThrow(`unknown key "${key}"`);
  }
});

test('is kept in a record, read back, and refused there where it is not of its form', async () => {
  const { volumes, written } = await records();
  const options = withoutUndefined(
    partOf(table, 'options', decodeClass(asked({ urgency: 'high' }))),
  );
  await volumes.swap('v', undefined, volume(options));
  expect(await written('v')).toContain('"urgency": "high"');
  const back = await volumes.read('v');
  const urgency: 'low' | 'high' | undefined = back?.value.options.urgency;
  expect(urgency).toBe('high');
  expect(() => volume({ urgency: 'middling' })).toThrow('Invalid option');
  expect(Object.keys(recordShape(table, 'attributes')).at(-1)).toBe('heat');
});

test('can be changed where its entry says mutable, and only there', () => {
  const change = decodeChange(asked({ urgency: 'low', freeze: 'auto' }));
  const parts = {
    attributes: withoutUndefined(partOf(mutable, 'attributes', change)),
    options: withoutUndefined(partOf(mutable, 'options', change)),
  };
  const now = { attributes: {}, options: volume({ urgency: 'high', freeze: 'auto' }).options };
  expect(whatIsLeft(now, parts)).toEqual({ attributes: {}, options: { urgency: 'low' } });
  expect(changed(now, parts).options).toEqual({ urgency: 'low', freeze: 'auto' });
  for (const key of ['hotness', 'hurry'])
    expect(() => decodeChange(asked({ [key]: 'low' }))).toThrow(
      new RegExp(
        `mutable_parameters has an unknown key "${key}"; known are .*privilegedFiles, urgency$`,
      ),
    );
});

test('is listed in the documentation, with what changes it', () => {
  const rows = documentationOf(table).split('\n');
  expect(rows).toContain('| `urgency` | `low` or `high` | `low` | yes | made up |');
  expect(rows).toContain('| `hurry` | `low` or `high` | `low` | no | made up |');
  expect(rows).toHaveLength(2 + Object.keys(table).length);
});
