import { lstat, mkdir, rmdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { explained } from '../../../../src/cli/command/explained.ts';
import { DriverError } from '../../../../src/model/fault.ts';

const failureOf = (action: Promise<unknown>): Promise<unknown> =>
  action.then(
    () => 'it did not fail',
    (error: unknown) => error,
  );

test('a failed system call is said in words, with what to do', async () => {
  expect(explained(await failureOf(lstat('/nope')))).toMatch(
    /^gpfs-csi: \/nope is not there; name it as the driver sees it: .* \(ENOENT at lstat\)$/,
  );
  expect(explained(await failureOf(mkdir('/proc/nope')))).toMatch(
    /^gpfs-csi: \/proc\/nope is not there; .* \(ENOENT at mkdir\)$/,
  );
});

test('one without words of ours keeps those of Node', async () => {
  expect(explained(await failureOf(rmdir('/proc')))).toBe(
    "gpfs-csi: EBUSY: resource busy or locked, rmdir '/proc'",
  );
});

test('an error of the driver is its sentence, and a bug shows where it is', () => {
  expect(explained(new DriverError('in-use', 'it is in use; end that'))).toBe(
    'gpfs-csi: it is in use; end that',
  );
  expect(explained(new TypeError('x is not a function'))).toMatch(/\n {4}at /);
});
