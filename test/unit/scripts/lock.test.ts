import { describe, expect, test } from 'vitest';
import { fillLock, packagesOf } from '../../../scripts/lock/entries.mjs';

const lock = {
  lockfileVersion: 3,
  packages: {
    '': { version: '1.0.0' },
    'node_modules/a': { version: '1.0.0', resolved: 'https://packages.example.org/a.tgz' },
    'node_modules/b': { version: '2.0.0', integrity: 'sha512-b' },
    'node_modules/b/node_modules/a': { version: '1.0.0' },
    'node_modules/c': { name: '@other/c', version: '3.0.0' },
    'node_modules/own': { link: true },
    'node_modules/b/node_modules/inside': { version: '4.0.0', inBundle: true },
  },
};
const sums = new Map([
  ['a@1.0.0', 'sha512-a'],
  ['b@2.0.0', 'sha512-b'],
  ['@other/c@3.0.0', 'sha512-c'],
]);

describe('the lock file', () => {
  test('lists what comes from a registry, each version once', () => {
    expect(packagesOf(lock)).toEqual(['a@1.0.0', 'b@2.0.0', '@other/c@3.0.0']);
  });

  test('gets the sum of each package, and loses the addresses', () => {
    const { filled, changes } = fillLock(lock, sums);
    expect(changes).toBe(3);
    expect(filled).toEqual({
      ...lock,
      packages: {
        ...lock.packages,
        'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
        'node_modules/b/node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
        'node_modules/c': { name: '@other/c', version: '3.0.0', integrity: 'sha512-c' },
      },
    });
    expect(fillLock(filled, sums)).toEqual({ filled, changes: 0 });
  });

  test('is refused where the registry gives another sum than the file', () => {
    const altered = new Map([...sums, ['b@2.0.0', 'sha512-altered']]);
    expect(() => fillLock(lock, altered)).toThrow(
      'b@2.0.0 is sha512-b in package-lock.json and sha512-altered in the registry',
    );
  });

  test.each([undefined, 'sha1-a'])('is refused where the registry gives %s', (sum) => {
    expect(() => fillLock(lock, new Map([...sums, ['a@1.0.0', sum]]))).toThrow(
      'the registry gives no sha512 for a@1.0.0',
    );
  });
});
