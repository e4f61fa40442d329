import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { confiners } from '../../../src/run/confined/confinements.ts';
import { programs } from '../../../scripts/image/programs.mjs';

const linux = join(import.meta.dirname, '..', '..', '..', 'src', 'linux');

/** First words of command lines, as src/linux writes them: given to `run`, kept as `argv`, or made by a function. */
const started = (text: string): readonly string[] =>
  [...text.matchAll(/(?:run\(|argv = |=>)\s*\[\s*'([a-z][\w.-]*)'/g)].map(([, word = '']) => word);

test('each program that src/linux starts is in the image', () => {
  const files = readdirSync(linux, { recursive: true, encoding: 'utf8' });
  const words = files
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => started(readFileSync(join(linux, name), 'utf8')));
  for (const known of ['fallocate', 'losetup', 'mount', 'qemu-img', 'xfs_growfs'])
    expect(words).toContain(known);
  expect(words.filter((word) => !programs.includes(word))).toEqual([]);
  expect(programs).toEqual(expect.arrayContaining([...confiners]));
});
