import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { accountsOf, sumUp } from '../../../../src/model/forest/accounts.ts';
import { GiB, KiB, MiB, roundBytes } from '../../../../src/model/bytes.ts';
import {
  flawOf,
  growForest,
  walkDown,
  type ForestNode,
} from '../../../../src/model/forest/forest.ts';
import { matchesGlob } from '../../../../src/model/forest/glob.ts';
import { ageWords } from '../../../../src/model/forest/words.ts';
import { file } from '../../../support/model/forest.ts';

describe('a forest of any records', () => {
  /** Parents at random: unknown ones, circles and files that are their own parents among them. */
  const parents = fc.array(fc.option(fc.nat(40), { nil: null }), { maxLength: 40 });
  const planted = (all: readonly (number | null)[]): readonly ForestNode[] =>
    all.map((parent, n) => file({ key: `f${n}`, parent: parent === null ? null : `f${parent}` }));

  test('has every file once, below one top, with its parent above it unless that is flawed', () => {
    fc.assert(
      fc.property(parents, (all) => {
        const files = planted(all);
        const forest = growForest(files);
        const walked = [...walkDown(forest, undefined as string | undefined, ({ key }) => key)];
        expect(walked.map(({ node }) => node.key).sort()).toEqual(
          files.map(({ key }) => key).sort(),
        );
        for (const { node, depth, carried } of walked) {
          const flaw = depth === 0 ? flawOf(forest, node) : undefined;
          expect(carried).toBe(flaw === undefined ? (node.parent ?? undefined) : undefined);
          expect(flaw === 'unknown parent').toBe(
            node.parent !== null && !files.some(({ key }) => key === node.parent),
          );
        }
      }),
    );
  });

  test('cuts each circle once, at its first file by key', () => {
    const circle = ['c', 'b', 'a'].map((key, n, all) =>
      file({ key, parent: all[(n + 1) % 3] ?? '' }),
    );
    const forest = growForest([
      ...circle,
      file({ key: 'd', parent: 'b' }),
      file({ key: 'e', parent: 'e' }),
    ]);
    expect(forest.tops.map(({ key }) => key)).toEqual(['a', 'e']);
    expect(forest.tops.map((top) => flawOf(forest, top))).toEqual(['circle', 'circle']);
  });

  test('may be a chain of ten thousand', () => {
    const chain = Array.from({ length: 10_000 }, (_, n) =>
      file({ key: `f${n}`, parent: n === 0 ? null : `f${n - 1}` }),
    );
    expect(sumUp(chain)).toMatchObject({ deepest: 9999, trees: 1 });
  });
});

describe('accounts', () => {
  const of = (files: readonly ForestNode[]) =>
    Object.fromEntries(
      [...accountsOf(growForest(files))].map(({ node, account }) => [node.key, account]),
    );

  const worn = [
    file({ key: 't', kind: 'tombstone', held: 4n * MiB, bytes: GiB }),
    file({ key: 's', kind: 'snapshot', parent: 't', held: 2n * MiB, bytes: GiB }),
    file({ key: 'h', kind: 'hidden parent', parent: 's', held: MiB, bytes: GiB }),
    file({ key: 'v', parent: 'h', held: 3n * MiB, bytes: GiB }),
    file({ key: 'w', parent: 's', held: 0n, bytes: GiB }),
    file({ key: 'x', held: 8n * MiB, bytes: GiB }),
  ];

  test('tell what a file holds, and at most reads of its parents', () => {
    expect(of(worn)).toEqual({
      t: { depth: 0, own: 4n * MiB, shared: 0n },
      s: { depth: 1, own: 2n * MiB, shared: 4n * MiB },
      h: { depth: 2, own: MiB, shared: 6n * MiB },
      v: { depth: 3, own: 3n * MiB, shared: 7n * MiB },
      w: { depth: 2, own: 0n, shared: 6n * MiB },
      x: { depth: 0, own: 8n * MiB, shared: 0n },
    });
  });

  test('of a root count every byte once as live or dead', () => {
    expect(sumUp(worn)).toEqual({
      files: { volume: 3, snapshot: 1, 'hidden parent': 1, tombstone: 1 },
      logical: 3n * GiB,
      largest: GiB,
      exclusive: 11n * MiB,
      shared: 13n * MiB,
      live: 13n * MiB,
      dead: 5n * MiB,
      deepest: 3,
      empty: 0,
      trees: 2,
    });
  });

  test('never say that more is shared than there is room for beside what is written over it', () => {
    const files = [
      file({ key: 'p', kind: 'snapshot', held: GiB, bytes: GiB }),
      file({ key: 'v', parent: 'p', held: GiB - MiB, bytes: GiB }),
      // GPFS counts whole blocks: more than the size of a small file.
      file({ key: 'w', parent: 'p', held: 4n * MiB, bytes: MiB }),
    ];
    expect(of(files)).toMatchObject({ v: { shared: MiB }, w: { shared: 0n } });
  });

  test('take a file that is missing for one that holds nothing', () => {
    expect(sumUp([file({ held: undefined, bytes: GiB })])).toMatchObject({
      live: 0n,
      logical: GiB,
    });
  });
});

test.each([
  [0n, '0'],
  [1n, '1 B'],
  [1023n, '1 KiB'],
  [4n * KiB, '4 KiB'],
  [1536n * KiB, '1.5 MiB'],
  [10n * GiB - 1n, '10 GiB'],
  [1023n * MiB, '1 GiB'],
  [117n * MiB + 1n, '117 MiB'],
  [5000n * GiB, '4.9 TiB'],
])('%d is %s for people', (bytes, words) => {
  expect(roundBytes(bytes)).toBe(words);
});

test.each([
  [-5, '0s'],
  [119, '119s'],
  [120, '2m'],
  [7199, '119m'],
  [7200, '2h'],
  [86_400 * 40, '40d'],
  [86_400 * 800, '2y'],
])('%d seconds ago is %s', (seconds, words) => {
  expect(ageWords(1_000_000_000_000, 1_000_000_000_000 + seconds * 1000)).toBe(words);
});

describe('a pattern', () => {
  test.each([
    ['pvc-*', 'pvc-1', true],
    ['pvc-*', 'xpvc-1', false],
    ['*', '', true],
    ['?', '', false],
    ['a?c*e', 'abcdee', true],
    ['[a].*', '[a].b', true],
    ['[a].*', 'a.b', false],
    ['*ab', 'aab', true],
    ['é?', 'é😀', true],
  ])('%s and %s: %s', (pattern, text, matches) => {
    expect(matchesGlob(pattern, text)).toBe(matches);
  });

  test('matches as the regular expression would', () => {
    const letters = (of: readonly string[]) =>
      fc.string({ unit: fc.constantFrom(...of), maxLength: 8 });
    fc.assert(
      fc.property(letters(['a', 'b', '*', '?']), letters(['a', 'b']), (pattern, text) => {
        const expression = pattern.replaceAll('?', '.').replaceAll('*', '.*');
        expect(matchesGlob(pattern, text)).toBe(new RegExp(`^${expression}$`).test(text));
      }),
      { numRuns: 500 },
    );
  });

  test('of many stars does not take for ever', () => {
    expect(matchesGlob(`${'*a'.repeat(60)}b`, 'a'.repeat(20_000))).toBe(false);
  });
});
