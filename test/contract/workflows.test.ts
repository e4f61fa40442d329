import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { actionlintTool, goTool, goToolLimitMs } from '../support/gotool.ts';

const root = join(import.meta.dirname, '../..');
const folder = '.github/workflows';
let actionlint = '';

beforeAll(async () => {
  actionlint = await goTool(actionlintTool);
}, goToolLimitMs);

/** What actionlint says of files, or of a text; without the linters for shell and Python, which a machine may have or not. */
async function lint(files: readonly string[], text = ''): Promise<string> {
  const argv = ['-no-color', '-oneline', '-shellcheck=', '-pyflakes=', ...files];
  const running = promisify(execFile)(actionlint, argv, { cwd: root });
  running.child.stdin?.end(text);
  // Its status is 1 when it found something.
  const { stdout } = await running.catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 1)
      return error as Error & { readonly stdout: string };
    throw error;
  });
  return stdout;
}

test('actionlint finds nothing wrong with the workflows', async () => {
  const files = readdirSync(join(root, folder)).map((name) => join(folder, name));
  expect(files.length).toBeGreaterThan(2);
  expect(await lint(files)).toBe('');
});

test.each([
  ['a job that it needs is missing', 'needs: nothing', 'job-needs'],
  ['an expression names what is not there', 'if: github.nothing', 'expression'],
  ['a key is misspelt', 'timeout-minuets: 1', 'syntax-check'],
])('actionlint refuses a workflow where %s', async (_, line, rule) => {
  const head = 'on: push\njobs:\n  one:\n    runs-on: ubuntu-24.04\n';
  const text = `${head}    ${line}\n    steps:\n      - run: 'true'\n`;
  expect(await lint(['-'], text)).toContain(`[${rule}]`);
});
