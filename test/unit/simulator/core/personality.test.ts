import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { documented } from '../../../../src/simulator/core/personality.ts';

const page = join(import.meta.dirname, '../../../../docs/simulator.md');

/** The settings of the page with their defaults, one text each; a row of its table may name several. */
function settingsOf(text: string): readonly string[] {
  const table = text.slice(text.indexOf('| key '), text.indexOf('## Faithful'));
  const rows = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  return rows
    .slice(2)
    .filter((cells) => cells.length > 4)
    .flatMap(([, names = '', , value = '']) => names.split(', ').map((name) => `${name} ${value}`));
}

test('docs/simulator.md has every setting once, with its default', () => {
  const defaults = Object.entries(documented).map(
    ([name, value]) => `${name} ${Array.isArray(value) ? 'none' : String(value)}`,
  );
  expect([...settingsOf(readFileSync(page, 'utf8'))].sort()).toEqual(defaults.sort());
});

test('rows are read each for itself, so that a setting that comes twice is seen', () => {
  const rows = ['| a, b | 1, 2 | 1 | x |', '| a | 1, 2 | 2 | y |'];
  const table = ['| key | values | default | meaning |', '| - | - | - | - |', ...rows].join('\n');
  expect(settingsOf(`${table}\n\n## Faithful`)).toEqual(['a 1', 'b 1', 'a 2']);
});
