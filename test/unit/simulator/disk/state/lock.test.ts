import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { processLock } from '../../../../../src/simulator/disk/state/lock.ts';

const directories: string[] = [];
const fresh = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'lock-'));
  directories.push(directory);
  return directory;
};
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

test('work is done one at a time, and the lock leaves one empty file behind', async () => {
  const directory = fresh();
  const [one, two] = [processLock(directory), processLock(directory)];
  expect(one.hold(() => 'first')).toBe('first');
  expect(() =>
    one.hold(() => {
      throw new Error('failed');
    }),
  ).toThrow('failed');
  const order: number[] = [];
  const all = Array.from({ length: 20 }, (_, n) =>
    (n % 2 === 0 ? one : two).holdSoon(() => order.push(n)),
  );
  await Promise.all(all);
  expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  const [left, ...more] = readdirSync(directory);
  expect(more).toEqual([]);
  expect(readFileSync(join(directory, left ?? ''), 'utf8')).toBe('');
});

test('a holder that is dead does not hold, one that lives does', async () => {
  const directory = fresh();
  // No process has this number, and one that gets it has another start time.
  writeFileSync(join(directory, '41'), '4194304 1 a-boot-long-ago');
  expect(processLock(directory).hold(() => 'taken over')).toBe('taken over');

  let held = '';
  processLock(directory).hold(() => {
    held = readFileSync(join(directory, '43'), 'utf8');
  });
  writeFileSync(join(directory, '44'), held);
  let done = false;
  const waiting = processLock(directory).holdSoon(() => {
    done = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(done).toBe(false);
  writeFileSync(join(directory, '44'), '');
  await waiting;
  expect(done).toBe(true);
});
