import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { goTool, helmTool } from '../support/tools/go-tool.ts';
import { chart } from './helm.ts';

/** What helm prints after an installation with these values. */
async function notes(...values: readonly string[]): Promise<string> {
  const set = ['roots[0]=/gpfs/fs1/csi', ...values].flatMap((each) => ['--set', each]);
  const args = ['install', 'x', chart, '--dry-run=client', ...set];
  const env = { ...process.env, KUBECONFIG: '/dev/null' };
  const { stdout } = await promisify(execFile)(await goTool(helmTool), args, { env });
  return stdout.slice(stdout.indexOf('NOTES:'));
}

test('say how much may be promised, or that there is no limit', async () => {
  expect(await notes()).toMatch(/Claims may be larger .* overcommitLimit is 0, that is, no limit/);
  expect(await notes('overcommitLimit=150')).toMatch(/together may have 150 percent of its size/);
});
