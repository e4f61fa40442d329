import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { actionlintTool, goTool, goToolLimitMs } from '../support/tools/go-tool.ts';

const root = join(import.meta.dirname, '../..');
const folder = '.github/workflows';
let actionlint = '';

beforeAll(async () => {
  actionlint = await goTool(actionlintTool);
}, goToolLimitMs);

/** What actionlint says of files, or of a text; without the linters for shell and Python, which a machine may have or not. */
function lint(files: readonly string[], input = ''): string {
  const argv = ['-no-color', '-oneline', '-shellcheck=', '-pyflakes=', ...files];
  const { status, stdout, stderr } = spawnSync(actionlint, argv, {
    cwd: root,
    input,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  // 1 is its answer when it found something.
  expect([0, 1]).toContain(status);
  return stdout;
}

test('actionlint finds nothing wrong with the workflows', () => {
  const files = readdirSync(join(root, folder)).map((name) => join(folder, name));
  expect(files.length).toBeGreaterThan(2);
  expect(lint(files)).toBe('');
});

test.each([
  ['a job that it needs is missing', 'needs: nothing', 'job-needs'],
  ['an expression names what is not there', 'if: github.nothing', 'expression'],
  ['a key is misspelt', 'timeout-minuets: 1', 'syntax-check'],
])('actionlint refuses a workflow where %s', (_, line, rule) => {
  const head = 'on: push\njobs:\n  one:\n    runs-on: ubuntu-24.04\n';
  const text = `${head}    ${line}\n    steps:\n      - run: 'true'\n`;
  expect(lint(['-'], text)).toContain(`[${rule}]`);
});
