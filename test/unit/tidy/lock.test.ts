import { join } from 'node:path';
import { expect, test } from 'vitest';
import { entriesWithoutSum } from '../../tidy/papers.ts';
import { readTree } from '../../tidy/tree.ts';

test('the lock file holds the sum of every package', () => {
  expect(entriesWithoutSum(readTree(join(import.meta.dirname, '..', '..', '..')))).toEqual([]);
});

const good = `sha512-${'a'.repeat(86)}==`;

const treeWith = (integrity: string | undefined) => {
  const packages = {
    '': {},
    'node_modules/a': { integrity: good },
    'node_modules/b': { integrity },
  };
  return new Map([['package-lock.json', JSON.stringify({ packages })]]);
};

test('an entry with a sum is fine', () => {
  expect(entriesWithoutSum(treeWith(good))).toEqual([]);
});

test.each([undefined, `sha1-${'a'.repeat(27)}=`, 'sha512-'])(
  'the check can fail: an entry with %s',
  (integrity) => {
    expect(entriesWithoutSum(treeWith(integrity))).toEqual([
      'package-lock.json: node_modules/b has no sha512: run npm run lock',
    ]);
  },
);

test('the check can fail: a lock file without packages', () => {
  expect(entriesWithoutSum(new Map([['package-lock.json', '{}']]))).toHaveLength(1);
});
