import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unshownThreats } from '../../tidy/threats.ts';
import { readTree } from '../../tidy/tree.ts';

test('each row of the threat model in docs/security.md names a test that is there', () => {
  expect(unshownThreats(readTree(join(import.meta.dirname, '../../..')))).toEqual([]);
});

test('a row without a test, and one whose test is gone, are found', () => {
  const head = '| tries | at most | test |\n| --- | --- | --- |';
  const rows = '| a | b | `test/a.test.ts` |\n| a | b | |\n| a | b | `test/gone.test.ts` |';
  const page = `${head}\n${rows}\n\n| another | table |\n| --- | --- |\n| a | b |\n`;
  const tree = new Map([
    ['docs/security.md', page],
    ['test/a.test.ts', ''],
  ]);
  expect(unshownThreats(tree)).toEqual([
    'docs/security.md:4 names no test that shows it',
    'docs/security.md:5 names test/gone.test.ts, which is no test',
  ]);
  expect(unshownThreats(new Map())).toHaveLength(1);
});
