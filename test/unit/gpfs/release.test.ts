import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compare, knowsClones, parseRelease, showRelease } from '../../../src/gpfs/release.ts';

const knows = (text: string): boolean | undefined => {
  const release = parseRelease(text);
  return release && knowsClones(release);
};

test('clones are known from 3.4, format 12.00, on', () => {
  const with_ = [
    '3.4.0.0',
    '3.10',
    '4.1.0.0',
    '5.2.1.0',
    '6.0.0',
    '12.00',
    '12.01',
    '1200',
    '1403',
  ];
  const without = ['3.3.0.9', '2.3', '11.99', '1199', '804', '0900'];
  expect(with_.map(knows)).toEqual(with_.map(() => true));
  expect(without.map(knows)).toEqual(without.map(() => false));
});

test('anything else is not a release', () => {
  for (const text of ['', 'LATEST', '5', '5.', '.5', '14.03x', '-1.2', '12 00', '12345'])
    expect(parseRelease(text)).toBeUndefined();
});

test('two integers are compared, not a decimal', () => {
  expect(compare([8, 9], [8, 10])).toBeLessThan(0);
  expect(compare([5, 2], [5, 2, 0, 0])).toBe(0);
});

test('every integer level is the format of the same digits', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 10, max: 99 }),
      fc.integer({ min: 0, max: 99 }),
      (major, minor) => {
        const dotted = `${major}.${String(minor).padStart(2, '0')}`;
        const release = parseRelease(dotted.replace('.', ''));
        expect(release).toEqual(parseRelease(dotted));
        expect(release && showRelease(release)).toBe(dotted);
      },
    ),
  );
});
