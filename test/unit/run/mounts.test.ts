import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostMounts } from '../../../src/run/host-files.ts';
import {
  isVisible,
  mountOf,
  parseMountinfo,
  placeUnder,
  type Mount,
} from '../../../src/run/mounts.ts';

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
      parent: 35,
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
      parent: 21,
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

const at = (id: number, point: string, parent = 1): Mount => ({
  id,
  parent,
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
  const mounts = [at(1, '/'), at(2, '/a'), at(3, '/a/b', 2), at(4, '/a/b', 3), at(5, '/ab')];
  expect(
    ['/', '/x', '/a', '/a/c', '/a/b', '/a/b/c', '/a/bc', '/ab/c'].map(
      (path) => mountOf(mounts, path)?.id,
    ),
  ).toEqual([1, 1, 2, 2, 4, 4, 2, 5]);
  expect(mountOf([], '/a')).toBeUndefined();
});

describe('a directory that is bound', () => {
  // As the kernel of Linux 6.18 shows a mount in a directory that is bound to itself, and to another one.
  const text = [
    '27 1 254:0 / / rw shared:9 - ext4 /dev/vda rw',
    '50 27 254:0 /kub /kub rw shared:1 - ext4 /dev/vda rw',
    '53 50 254:0 /kub /kub rw shared:1 - ext4 /dev/vda rw',
    '54 53 0:41 / /kub/pod ro shared:2 - tmpfs t1 rw',
    '84 50 0:41 / /kub/pod rw shared:2 - tmpfs t1 rw',
    '90 27 254:0 /kub /data rw shared:1 - ext4 /dev/vda rw',
    '91 90 0:41 / /data/pod rw shared:2 - tmpfs t1 rw',
    '92 90 0:41 / /data/other rw shared:2 - tmpfs t1 rw',
  ].join('\n');
  const mounts = parseMountinfo(text);
  const named = (id: number) => mounts.find((each) => each.id === id) ?? at(0, '');

  test('to itself covers the copy of a mount in it', () => {
    expect(mounts.filter((each) => !isVisible(mounts, each)).map(({ id }) => id)).toEqual([84]);
    expect(mountOf(mounts, '/kub/pod/file')?.id).toBe(54);
    expect(mountOf(mounts, '/kub/file')?.id).toBe(53);
  });

  test('to another one shows a copy of a mount in it, which lies at the same place', () => {
    const places = [54, 84, 91, 92].map((id) => placeUnder(mounts, named(id)));
    expect(places).toEqual([
      '254:0 /kub/pod',
      '254:0 /kub/pod',
      '254:0 /kub/pod',
      '254:0 /kub/other',
    ]);
  });

  test('over which another file system is mounted shows nothing of what was there', () => {
    const covered = [at(1, '/', 0), at(2, '/gpfs/fs1'), at(3, '/gpfs')];
    expect(mountOf(covered, '/gpfs/fs1/root')?.id).toBe(3);
  });
});

test('the mounts of this machine are read', async () => {
  const mounts = await hostMounts()();
  expect(mountOf(mounts, '/proc/self')?.type).toBe('proc');
});
