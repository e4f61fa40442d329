import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostMounts } from '../../../src/run/host-files.ts';
import { mountOf, parseMountinfo, type Mount } from '../../../src/run/mounts.ts';

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

test('a line is read, with any number of optional fields', () => {
  const lines = [
    '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue',
    '47 21 0:47 / /gpfs/fs1 rw,relatime - gpfs fs1 rw',
    '',
  ].join('\n');
  expect(parseMountinfo(lines)).toEqual([
    {
      id: 36,
      device: '98:0',
      root: '/mnt1',
      point: '/mnt2',
      options: ['rw', 'noatime'],
      type: 'ext3',
      source: '/dev/root',
      superOptions: ['rw', 'errors=continue'],
      shared: true,
    },
    {
      id: 47,
      device: '0:47',
      root: '/',
      point: '/gpfs/fs1',
      options: ['rw', 'relatime'],
      type: 'gpfs',
      source: 'fs1',
      superOptions: ['rw'],
      shared: false,
    },
  ]);
});

const escape = (text: string): string =>
  text.replaceAll(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);

test('names survive their escapes, in any script', () => {
  const name = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => `/${text}`);
  fc.assert(
    fc.property(name, name, name, (root, point, source) => {
      // The kernel escapes blank, tab, newline and backslash, and nothing else.
      const line = `1 2 0:3 ${escape(root)} ${escape(point)} rw - xfs ${escape(source)} rw\n`;
      expect(parseMountinfo(bytes(line))).toMatchObject([{ root, point, source }]);
    }),
  );
});

const at = (id: number, point: string): Mount => ({
  id,
  device: '0:1',
  root: '/',
  point,
  options: [],
  type: 'x',
  source: 's',
  superOptions: [],
  shared: false,
});

test('a path lies on the deepest mount above it, and on the latest of a stack', () => {
  const mounts = [at(1, '/'), at(2, '/a'), at(3, '/a/b'), at(4, '/a/b'), at(5, '/ab')];
  expect(
    ['/', '/x', '/a', '/a/c', '/a/b', '/a/b/c', '/a/bc', '/ab/c'].map(
      (path) => mountOf(mounts, path)?.id,
    ),
  ).toEqual([1, 1, 2, 2, 4, 4, 2, 5]);
  expect(mountOf([], '/a')).toBeUndefined();
});

test('the mounts of this machine are read', async () => {
  const mounts = await hostMounts()();
  expect(mountOf(mounts, '/proc/self')?.type).toBe('proc');
});
