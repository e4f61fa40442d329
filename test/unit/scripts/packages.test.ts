import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isForThisMachine, type LockEntry } from '../../../scripts/ensure/packages.mjs';

const root = join(import.meta.dirname, '..', '..', '..');

// npm on an old Node leaves some of these out without a word, and then nothing that is built on them starts.
test('of the optional packages, those for this machine are needed, whatever Node npm runs on', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockEntry>>;
  };
  const needed = Object.entries(packages)
    .filter(([, entry]) => entry.optional === true && isForThisMachine(entry))
    .map(([path]) => path);
  const here = `linux-${process.arch}`;
  expect(needed).toContain(`node_modules/node-${here}`);
  expect(needed).toContain(`node_modules/@esbuild/${here}`);
  expect(needed).toContain(`node_modules/@rolldown/binding-${here}-gnu`);
  expect(needed.filter((path) => /musl|wasm|darwin|win32/.test(path))).toEqual([]);
});

test('a package for any machine, or for another one, is not one of several', () => {
  expect(isForThisMachine({})).toBe(false);
  expect(isForThisMachine({ os: 'darwin', cpu: process.arch })).toBe(false);
  expect(isForThisMachine({ os: ['linux'], cpu: ['s390x'] })).toBe(false);
  expect(isForThisMachine({ os: ['linux'], cpu: [process.arch], libc: ['musl'] })).toBe(false);
});
