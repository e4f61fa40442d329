import { expect, test } from 'vitest';
import { countsOf, oneCheck, sumOf } from '../../../scripts/ci/counts.mjs';
import { labelled } from '../../../scripts/ci/lines.mjs';

test.each([
  ['ok\n12 passed, 0 failed\n', 0, { passed: 12, failed: 0 }],
  ['ok\n12 passed, 3 failed\n', 1, { passed: 12, failed: 3 }],
  ['ended early', 1, { passed: 0, failed: 1 }],
  ['', 0, { passed: 0, failed: 1 }],
  ['', null, { passed: 0, failed: 1 }],
  ['12 passed, 0 failed\nand then something else', 0, { passed: 0, failed: 1 }],
  ['12 passed, 0 failed\n', 1, { passed: 12, failed: 1 }],
  ['12 passed, 0 failed\n', null, { passed: 12, failed: 1 }],
  ['12 passed, 1 failed\n', 0, { passed: 12, failed: 2 }],
])('the last line and the status say what a run counted: %j, %j', (output, status, counts) => {
  expect(countsOf(output, status)).toEqual(counts);
});

test('a run that never began has failed', () => {
  expect(sumOf([{ passed: 5, failed: 1 }], 2)).toEqual({ passed: 5, failed: 2 });
  expect(sumOf([{ passed: 5, failed: 1 }, undefined], 2)).toEqual({ passed: 5, failed: 2 });
  expect(sumOf([oneCheck(true), oneCheck(false)], 3)).toEqual({ passed: 1, failed: 2 });
  expect(
    sumOf(
      [
        { passed: 5, failed: 0 },
        { passed: 2, failed: 0 },
      ],
      2,
    ),
  ).toEqual({ passed: 7, failed: 0 });
});

test('what one of two programs prints is shown by whole lines, each under its name', () => {
  let shown = '';
  const show = labelled('build', (text) => (shown += text));
  for (const text of ['  one', ' line\n\n', 'and ', 'another\nthe rest']) show(text);
  expect(shown).toBe('build       one line\nbuild       and another\n');
});
