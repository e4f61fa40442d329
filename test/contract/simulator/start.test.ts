import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testSimulator, type TestSimulator } from '../../support/disk/simulator-host.ts';

let simulator: TestSimulator;

beforeAll(async () => {
  simulator = await testSimulator();
});
afterAll(() => simulator.down());

const timed = (program: string, args: readonly string[]): number => {
  const begin = performance.now();
  expect(spawnSync(program, args).status).toBe(0);
  return performance.now() - begin;
};
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

// Pairs, so that whatever else the machine does falls on both alike.
test('an executable starts in at most one and a half times what Node itself takes', async () => {
  const volume = join(simulator.filesetPath, 'vol');
  await writeFile(volume, 'data');
  const mmclone = join(simulator.bin, 'mmclone');
  expect(spawnSync(mmclone, ['snap', volume]).status).toBe(0);
  const pairs = Array.from({ length: 31 }, () => [
    timed(process.execPath, ['-e', '0']),
    timed(mmclone, ['show', volume]),
  ]);
  const [bare, started] = [0, 1].map((at) => median(pairs.map((pair) => pair[at] ?? NaN)));
  expect((started ?? NaN) / (bare ?? NaN)).toBeLessThanOrEqual(1.5);
});
