import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { adopt } from '../../../src/cli/adopt.ts';
import { UsageError } from '../../../src/cli/command/config.ts';
import { doctor } from '../../../src/cli/doctor.ts';
import { exportCommand } from '../../../src/cli/export.ts';
import { image } from '../../../src/cli/image.ts';
import { migrate } from '../../../src/cli/migrate.ts';
import type { Subcommand } from '../../../src/cli/command/subcommand.ts';
import { volumeChange } from '../../../src/model/class/mutable.ts';
import { parameterKeys } from '../../../src/model/class/parameter-keys.ts';
import { classParameters } from '../../../src/model/class/parameters.ts';

// The examples of docs/from-cinder.md, each read by what reads it in use.

const docs = join(import.meta.dirname, '../../../docs');
const page = readFileSync(join(docs, 'from-cinder.md'), 'utf8');
const values = parse(readFileSync(join(docs, '../charts/gpfs-csi/values.yaml'), 'utf8')) as object;

const commands: Readonly<Record<string, Subcommand>> = {
  adopt,
  doctor,
  export: exportCommand,
  image,
  migrate,
};

const mapOf = (parameters: object) =>
  new Map(Object.entries(parameters).map(([key, value]) => [key, String(value)]));

/** Throws for an example that its reader would refuse; resolves to which reader that is. */
async function read(example: string): Promise<string> {
  if (example.startsWith('gpfs-csi ')) return readCommand(example);
  const [, set] = /^--set ([a-zA-Z]+)(?:\[0\])?=\S+$/.exec(example) ?? [];
  if (set !== undefined) {
    expect(Object.keys(values)).toContain(set);
    return 'chart';
  }
  classParameters(mapOf(parse(example) as object));
  return 'class';
}

/** What is said right fails only because there is no GPFS here. */
async function readCommand(line: string): Promise<string> {
  const [, verb = '', ...argv] = line.split(' ');
  const flags = ['--mm-runner', 'direct', '--mm-dir', '/nonexistent'];
  const terminal = { env: {}, out: () => undefined, err: () => undefined, isTerminal: false };
  const ended = await commands[verb]?.run([...argv, ...flags], terminal).catch((error: unknown) => {
    if (error instanceof UsageError) throw error;
    return 1;
  });
  expect(ended).toBe(1);
  return verb;
}

const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(2)
  .map((line) => line.split(/ +\| +|^\| +| +\|$/).filter((cell) => cell !== ''));
const codes = (text: string): readonly string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);

describe('the mapping table', () => {
  test.each(rows.map((row) => [row[0] ?? '', row] as const))('%s', async (_, row) => {
    const [cinder = '', here = '', example = ''] = row;
    expect(row).toHaveLength(3);
    expect([cinder, here, example]).not.toContain('');
    const links = [...example.matchAll(/\]\(([^)#]+)\)/g)].map(([, to = '']) => to);
    for (const to of links) expect(existsSync(join(docs, to))).toBe(true);
    expect(codes(example).length + links.length + Number(example.includes('](#'))).toBeGreaterThan(
      0,
    );
    for (const code of codes(example)) expect(await read(code)).not.toBe('');
  });

  test('has an example of every key of a class that takes the place of an option', () => {
    const shown = rows.flatMap((row) => codes(row[2] ?? '')).join(' ');
    const ours = ['discard', 'trim', 'freeze', 'privilegedFiles'];
    const missing = Object.keys(parameterKeys).filter(
      (key) => !new RegExp(`\\b${key}:`).test(shown),
    );
    expect(missing).toEqual(ours);
  });

  test('names every option of the driver of Cinder', () => {
    const cinder = rows.map(([first]) => first).join(' ');
    for (const option of [
      'gpfs_mount_point_base',
      'gpfs_images_dir',
      'gpfs_images_share_mode',
      'gpfs_max_clone_depth',
      'gpfs_sparse_volumes',
      'gpfs_storage_pool',
      'volume_backend_name',
      'data_pool_name',
      'replicas',
      'dio',
      'write_affinity_depth',
      'block_group_factor',
      'write_affinity_failure_group',
      'fstype',
      'fslabel',
      'reserved_percentage',
      'max_over_subscription_ratio',
      'gpfs_encryption_rest',
    ])
      expect(cinder).toContain(`\`${option}`);
  });
});

test('a wrong example would be noticed', async () => {
  for (const wrong of ['pool: a b', 'nosuch: x', '{ imageShareMode: copy }', '--set nosuch=1'])
    await expect(read(wrong)).rejects.toThrow();
  await expect(read('gpfs-csi image import x --root /gpfs/fs1/csi')).rejects.toThrow(UsageError);
});

test('the classes below it are read too', () => {
  const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(
    ([, text = '']) => parse(text) as { readonly kind?: string; readonly parameters: object },
  );
  expect(blocks.map(({ kind }) => kind)).toEqual([
    'StorageClass',
    undefined,
    'VolumeAttributesClass',
  ]);
  for (const { kind, parameters } of blocks)
    if (kind === 'VolumeAttributesClass') volumeChange(mapOf(parameters));
    else classParameters(mapOf(parameters));
});
