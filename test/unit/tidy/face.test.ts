import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { wrongClaims } from '../../tidy/claims.ts';
import {
  brokenLinks,
  unmarkedFiles,
  unwatchedVersions,
  wrongReadme,
  wrongScripts,
} from '../../tidy/face.ts';
import { readTree, type Tree } from '../../tidy/tree.ts';
import { unrunScripts, wrongForms, wrongWorkflows } from '../../tidy/workflows.ts';

const tree = readTree(join(import.meta.dirname, '../../..'));

/** The repository with another text in one file. */
function changed(path: string, from: string | RegExp, to: string): Tree {
  const text = tree.get(path) ?? '';
  expect(text).toMatch(from);
  return new Map([...tree, [path, text.replace(from, to)]]);
}

/** What a check finds in the changed repository that is not there already. */
const newFaults = (check: (tree: Tree) => readonly string[], other: Tree): readonly string[] => {
  const before = check(tree);
  return check(other).filter((fault) => !before.includes(fault));
};

describe('what people meet first', () => {
  test.each([
    ['each npm script has a line in CONTRIBUTING.md and a name of one form', wrongScripts],
    ['pages say the versions that the tests build', wrongClaims],
    ['links lead somewhere', brokenLinks],
    ['README.md has what a first page needs', wrongReadme],
    ['generated files are marked', unmarkedFiles],
    ['each version in code is watched for newer ones', unwatchedVersions],
    ['workflows have few rights, whole versions and scripts that exist', wrongWorkflows],
    ['workflows run what a person runs', unrunScripts],
    ['issue forms are issue forms', wrongForms],
  ])('%s', (_, check) => {
    expect(check(tree)).toEqual([]);
  });
});

describe('the checks can fail', () => {
  test('a script without a line, a line without a script, and a name of another form', () => {
    const [more = ''] = wrongScripts(
      changed('package.json', '"types": ', '"typing": "", "types": '),
    );
    expect(more).toMatch(/^typing has no line/);
    const renamed = changed('package.json', '"format:check": ', '"check:format": ');
    expect(newFaults(wrongScripts, renamed)).toEqual([
      'check:format has no line under "Every script" in CONTRIBUTING.md: add one',
      'format:check is described in CONTRIBUTING.md and not in package.json',
      'check:format belongs to no group; names begin with test, bench, e2e, format',
    ]);
  });

  test.each([
    ['README.md', /\| Kubernetes +\| \d+\.\d+/, '| Kubernetes | 1.12', 'README.md says 1.12'],
    ['README.md', /\| CSI +\| \d+\.\d+/, '| CSI | 1.2', 'README.md says 1.2'],
    ['README.md', 'the output of 4.1, ', 'the output of ', 'README.md says 5.0, 5.2, 6.0'],
    ['README.md', 'csi-sanity 5', 'sanity 5', 'README.md does not say it'],
    ['docs/install.md', 'Tested: Kubernetes 1.', 'Tested: Kubernetes 9.', 'install.md says 9.'],
    ['charts/gpfs-csi/Chart.yaml', /^version: .*/m, 'version: 9.9.9', 'Chart.yaml says 9.9.9'],
  ])('a claim of %s (%s) that is not true', (path, from, to, fault) => {
    const [first = '', ...more] = newFaults(wrongClaims, changed(path, from, to));
    expect(first).toContain(fault);
    expect(more).toEqual([]);
  });

  test('a source that says nothing any more', () => {
    const other = changed('proto/csi/v1/csi.proto', 'Interface 1.', 'of 1.');
    const [first = ''] = newFaults(wrongClaims, other);
    expect(first).toBe('proto/csi/v1/csi.proto does not say the CSI of proto/ any more');
  });

  test.each([
    ['CONTRIBUTING.md', '](SECURITY.md)', '](NOWHERE.md)', brokenLinks],
    ['README.md', 'npm run demo\n', '', wrongReadme],
    ['README.md', '**Status: alpha.**', 'Alpha.', wrongReadme],
    ['README.md', /!\[[^]*?\)/, '', wrongReadme],
    ['README.md', /$/, '\n'.repeat(200) + 'x', wrongReadme],
    ['.gitattributes', '/package-lock.json', '/lock.json', unmarkedFiles],
    ['test/e2e/setup/programs.ts', 'kubernetesVersion = ', 'version = ', unwatchedVersions],
    ['.github/workflows/ci.yml', 'actions/checkout@v5.0.0', 'actions/checkout@v5', wrongWorkflows],
    ['.github/workflows/ci.yml', 'contents: read', 'contents: write', wrongWorkflows],
    ['.github/workflows/ci.yml', 'pull_request:', 'pull_request_target:', wrongWorkflows],
    ['.github/workflows/ci.yml', 'persist-credentials: false', 'x: 1', wrongWorkflows],
    ['.github/workflows/ci.yml', 'permissions:\n  contents: read\n', '', wrongWorkflows],
    [
      '.github/workflows/weekly.yml',
      'run: npm run test:fresh',
      'run: npm run test:none',
      wrongWorkflows,
    ],
    ['.github/workflows/ci.yml', 'run: npm run test:e2e', 'run: npm run test:ete', wrongWorkflows],
    ['.github/ISSUE_TEMPLATE/bug.yml', 'type: textarea', 'type: text', wrongForms],
    ['.github/ISSUE_TEMPLATE/bug.yml', 'id: steps', 'id: what', wrongForms],
    ['.github/workflows/ci.yml', 'run: npm run check', 'run: npm run types', unrunScripts],
  ])('%s with %s changed', (path, from, to, check) => {
    expect(newFaults(check, changed(path, from, to))).toHaveLength(1);
  });
});
