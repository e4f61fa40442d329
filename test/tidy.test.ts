import { join } from 'node:path';
import { ESLint } from 'eslint';
import { describe, expect, test } from 'vitest';
import { anchorOf, wrongLinks, wrongNumbers, wrongPaths } from './tidy/cites.ts';
import { circles } from './tidy/circles.ts';
import { sharedTypeNames, upwards, valuesInTypes, wrongFiles } from './tidy/layout.ts';
import { orphans, wrongImports } from './tidy/imports.ts';
import { longLines, unlistedPages } from './tidy/pages.ts';
import { resolvedHosts, wrongDecisions, wrongIndex } from './tidy/papers.ts';
import { filesIn, readTree } from './tidy/tree.ts';
import { bannedWords } from './tidy/words.ts';

const root = join(import.meta.dirname, '..');
const tree = readTree(root);

describe('the repository', () => {
  test('is what was looked at', () => {
    expect(filesIn(tree, 'src', '.ts')).toContain('src/cli/main.ts');
    expect(filesIn(tree, 'test', '.test.ts')).toContain('test/tidy.test.ts');
  });

  test('imports point down', () => {
    expect(wrongImports(tree)).toEqual([]);
  });

  test('no files or folders of src import each other in a circle', () => {
    expect(circles(tree)).toEqual([]);
  });

  test('within a layer, imports follow its order', () => {
    expect(upwards(tree)).toEqual([]);
    expect(valuesInTypes(tree)).toEqual([]);
  });

  test('folders, files and types have their size and names', () => {
    expect(wrongFiles(tree)).toEqual([]);
    expect(sharedTypeNames(tree)).toEqual([]);
  });

  test('every file is used', () => {
    expect(orphans(tree)).toEqual([]);
  });

  test('no file holds a banned word', () => {
    expect(bannedWords(tree)).toEqual([]);
  });

  test('the lock file names no registry', () => {
    expect(resolvedHosts(tree)).toEqual([]);
  });

  test('decisions have their form', () => {
    expect(wrongDecisions(tree)).toEqual([]);
  });

  test('the index of decisions lists all of them', () => {
    expect(wrongIndex(tree)).toEqual([]);
  });

  test('pages and comments name what exists', () => {
    expect(wrongPaths(tree)).toEqual([]);
    expect(wrongNumbers(tree)).toEqual([]);
    expect(wrongLinks(tree)).toEqual([]);
  });

  test('pages are listed, and their lines short enough to review', () => {
    expect(unlistedPages(tree)).toEqual([]);
    expect(longLines(tree)).toEqual([]);
  });

  test('each case of the node that CSI describes and its own suite leaves out has a test by name', () => {
    const names = filesIn(tree, 'test', '.test.ts')
      .filter((file) => /^test\/contract\/node\/[a-z-]+\.test\.ts$/.test(file))
      .flatMap((file) => tree.get(file)?.match(/['`]case [0-9, ]+: /g) ?? []);
    const tested = new Set(names.flatMap((name) => name.match(/\d+/g) ?? []));
    const all = Array.from({ length: 16 }, (_, n) => String(78 + n));
    expect(all.filter((number) => !tested.has(number))).toEqual([]);
  });

  test('the linter holds the size of files and functions', async () => {
    const eslint = new ESLint({ cwd: root });
    for (const folder of ['cli', 'simulator', 'server', 'service', 'service/node', 'model']) {
      const file = join(root, 'src', folder, 'some.ts');
      const { rules } = (await eslint.calculateConfigForFile(file)) as { rules: object };
      expect(rules).toMatchObject({
        'max-lines': [2, { max: 250 }],
        'house/lines-per-function': [2, { max: 40 }],
        'max-params': [2, 4],
        complexity: [2, { max: 8 }],
      });
    }
  });
});

describe('the checks can fail', () => {
  const files = (texts: Readonly<Record<string, string>>) => new Map(Object.entries(texts));

  test.each([
    ['src/model/a.ts', "import { b } from '../run/b.ts';"],
    ['src/store/a.ts', "import type { B } from '../gpfs/b.ts';"],
    ['src/simulator/a.ts', "export { b } from '../gpfs/b.ts';"],
    ['src/server/a.ts', "const b = await import('../cli/b.ts');"],
    ['src/service/a.ts', "import type { B } from '../wire/types.ts';"],
    ['src/service/a.ts', "import { execa } from 'execa';"],
    ['src/cli/a.ts', "import { spawn } from 'node:child_process';"],
    ['src/model/a.ts', "import { readFile } from 'node:fs/promises';"],
    ['src/cli/a.ts', "import { b } from '../../test/support/b.ts';"],
    ['src/elsewhere/a.ts', "import { b } from '../model/b.ts';"],
  ])('%s with %s', (path, text) => {
    expect(wrongImports(files({ [path]: text }))).toHaveLength(1);
  });

  test('an import that points down is fine', () => {
    const text = "import { b } from '../gpfs/b.ts';\nimport { z } from 'zod';";
    expect(wrongImports(files({ 'src/service/a.ts': text }))).toEqual([]);
  });

  test('a circle of files, of types, and of folders', () => {
    const some = files({
      'src/model/a.ts': "import { b } from './b.ts';",
      'src/model/b.ts': "import type { A } from './a.ts';",
      'src/service/one/a.ts': "import { b } from '../two/b.ts';",
      'src/service/two/b.ts': '',
      'src/service/two/c.ts': "import { d } from '../one/d.ts';",
      'src/service/one/d.ts': "import { m } from '../../model/m.ts';",
    });
    expect(circles(some)).toEqual([
      expect.stringContaining('in src/model, a.ts, b.ts import each other'),
      expect.stringContaining('in src/service, one, two import each other'),
    ]);
    const straight = { 'src/model/a.ts': "import { b } from './b.ts';", 'src/model/b.ts': '' };
    expect(circles(files(straight))).toEqual([]);
  });

  test('an import against the order of a layer, and a folder that has no place in it', () => {
    const some = files({
      'src/service/claims/a.ts': "import { b } from '../volumes/b.ts';",
      'src/service/volumes/b.ts': "import { a } from '../claims/a.ts';",
      'src/service/newcomer/c.ts': '',
      'src/service/host.ts': "import { a } from './roots/a.ts';",
    });
    expect(upwards(some)).toEqual([
      expect.stringContaining('claims/a.ts imports src/service/volumes/b.ts'),
      expect.stringContaining('newcomer has no place'),
    ]);
    expect(valuesInTypes(some)).toHaveLength(1);
  });

  test('a crowded folder, a short file, a name in capitals, and a type of two files', () => {
    const long = 'const a = 1;\n'.repeat(30);
    const crowd = Object.fromEntries(
      Array.from({ length: 17 }, (_, n) => [`src/service/volumes/a${n}.ts`, long]),
    );
    expect(wrongFiles(files(crowd))).toHaveLength(1);
    expect(wrongFiles(files({ 'src/service/a.ts': 'const a = 1;' }))).toHaveLength(1);
    expect(wrongFiles(files({ 'src/run/someFile.ts': '' }))).toHaveLength(1);
    expect(wrongFiles(files({ 'src/run/someFolder/a.ts': '' }))).toHaveLength(1);
    const twice = {
      'src/run/a.ts': 'export interface Place {}',
      'src/store/b.ts': 'export type Place = string;',
      'src/store/c.ts': 'interface Place {}',
      'src/gpfs/d.ts': 'interface Other {}\nexport type { Other };',
      'src/linux/e.ts': 'export type Other = number;',
    };
    expect(sharedTypeNames(files(twice))).toEqual([
      expect.stringContaining('Place is exported'),
      expect.stringContaining('Other is exported'),
    ]);
  });

  test('a file that nothing uses, and one that only a test uses', () => {
    const some = files({
      'package.json': '"cli": "node src/cli/main.ts"',
      'src/cli/main.ts': "import { used } from '../model/used.ts';",
      'src/model/used.ts': '',
      'src/model/tested.ts': '',
      'src/simulator/tested.ts': '',
      'test/unit/a.test.ts':
        "import '../../src/model/tested.ts';\nimport '../../src/simulator/tested.ts';\nimport '../support/a.ts';",
      'test/support/a.ts': '',
      'test/support/b.ts': '',
    });
    expect(orphans(some)).toEqual(['src/model/tested.ts', 'test/support/b.ts']);
  });

  test.each([
    ['docs/a.md', 'see /~work/main'],
    ['package.json', '"https://regis~try.example.org"'],
    ['src/cli/a.ts', '// TO~DO later'],
    ['test/a.test.ts', "test.~skip('a', () => {});"],
    ['test/a.test.ts', 'vi.~fn()'],
    ['src/cli/a.ts', '// @ts-~ignore'],
    ['src/cli/a.ts', '// eslint-disable-next-line comple~xity'],
    ['src/server/a.ts', "process.~env['HOME']"],
    ['src/run/a.ts', "import x from '@gr~pc/x'"],
    ['src/run/a.ts', '/** For who~ever asks. */'],
    ['docs/a.md', 'The server is to~ld of it.'],
  ])('%s with %s', (path, broken) => {
    // The gap keeps this file from what it forbids.
    const text = broken.replace('~', '');
    expect(bannedWords(files({ [path]: `\n${text}\n` }))).toHaveLength(1);
  });

  test('an idiom in a name of the code is free, and one in any part of a template is not', () => {
    const name = 'const b = `v ${id} x`; const ane~w = 1; const c = `z`;';
    expect(bannedWords(files({ 'src/run/a.ts': name.replace('~', '') }))).toEqual([]);
    const said = 'const a = `volume ${id} is taken by who~ever ${comes}, made an~ew`;';
    expect(bannedWords(files({ 'src/run/a.ts': said.replaceAll('~', '') }))).not.toEqual([]);
  });

  test('a decision without its sections, and one that says nothing', () => {
    const lines = Array.from({ length: 20 }, () => 'x');
    const full = ['# One', '## Context', '## Decision', '## Consequences', ...lines];
    const good = { 'docs/adr/0001-one.md': full.join('\n') };
    expect(wrongDecisions(files(good))).toEqual([]);
    expect(wrongDecisions(files({}))).toHaveLength(1);
    expect(wrongDecisions(files({ ...good, 'docs/adr/0001-two.md': '# Two' }))).toHaveLength(5);
    expect(wrongDecisions(files({ 'docs/adr/one.md': full.join('\n') }))).toHaveLength(1);
  });

  test('an index of decisions that leaves one out, names one twice or wrongly, or gives no status', () => {
    const paper = { 'docs/adr/0001-one.md': '', 'docs/adr/0002-two.md': '' };
    const index = (...rows: readonly string[]) =>
      wrongIndex(files({ ...paper, 'docs/adr/README.md': rows.join('\n') }));
    const [one, two] = [
      '| [1](0001-one.md) | One | accepted |',
      '| [2](0002-two.md) | Two | replaced by 1 |',
    ];
    expect(index(one, two)).toEqual([]);
    expect(index(one)).toEqual([expect.stringContaining('must list docs/adr/0002-two.md once')]);
    expect(index(one, two, two)).toHaveLength(1);
    expect(index(one, two, '| [3](0003-no.md) | No | accepted |')).toHaveLength(1);
    expect(index(one, '| [2](0002-two.md) | Two | |')).toHaveLength(1);
  });

  test.each([
    ['docs/a.md', 'see `src/no.ts`'],
    ['README.md', 'see service/no.ts'],
    ['src/a.ts', '/** See test/no.test.ts. */'],
    ['src/a.ts', "throw new Error('docs/no.md tells more');"],
    ['test/a.ts', '// as docs/no.md says'],
    ['scripts/a.mjs', '// charts/no.yaml'],
    ['charts/a/values.yaml', 'a: 1 # docs/no.md'],
    ['deploy/a.yaml', '# kubectl apply -f deploy/no.yaml'],
  ])('%s names what is not there: %s', (path, text) => {
    expect(wrongPaths(files({ [path]: text }))).toEqual([
      expect.stringMatching(/:1 names \S+, which does not exist: name the place it has now/),
    ]);
  });

  test('paths that exist, and texts that only look like paths, are fine', () => {
    const page =
      '`src/b.ts`, src/, b/b.ts, kubectl logs deploy/x, https://a.example/docs/x, test/<name>';
    const some = {
      'docs/a.md': page,
      'src/b.ts': "import './docs/no.ts';",
      'test/c.ts': "'docs/no.md'",
    };
    expect(wrongPaths(files(some))).toEqual([]);
  });

  test('a decision and a section that do not exist', () => {
    const cited = { 'src/a.ts': '// ADR 2, docs/gpfs.md 1.2', 'docs/gpfs.md': '### 1.1 One' };
    expect(wrongNumbers(files({ ...cited, 'docs/adr/0001-one.md': '' }))).toHaveLength(2);
    const there = { ...cited, 'docs/gpfs.md': '### 1.2 Two', 'docs/adr/0002-two.md': '' };
    expect(wrongNumbers(files(there))).toEqual([]);
  });

  test('links to no file, to no heading, and to headings in code', () => {
    const target = '# The `one`, and 2!\n```\n# not one\n```\n';
    const links = (...to: readonly string[]) =>
      wrongLinks(
        files({ 'docs/b.md': target, 'docs/a.md': to.map((each) => `[x](${each})`).join('\n') }),
      );
    expect(anchorOf('The `one`, and 2!')).toBe('the-one-and-2');
    expect(links('b.md', 'b.md#the-one-and-2', '../docs/b.md', 'https://example.org/b.md')).toEqual(
      [],
    );
    expect(links('c.md', '#x', 'b.md#two', 'b.md#not-one')).toHaveLength(4);
  });

  test('a page that is not listed, and a line that is too long', () => {
    const some = { 'docs/README.md': '[a](a.md)', 'docs/a.md': 'a'.repeat(60), 'docs/b.md': '' };
    expect(unlistedPages(files(some))).toEqual([expect.stringContaining('has no link to b.md')]);
    const long = 'word '.repeat(30);
    const address = `[x](${'a'.repeat(120)})`;
    const fine = [`| ${long} |`, '```', long, '```', `# ${long}`, `- ${address}`, 'a'.repeat(130)];
    expect(longLines(files({ 'docs/a.md': fine.join('\n') }))).toEqual([]);
    expect(longLines(files({ 'docs/a.md': `ok\n${long}` }))).toEqual([
      expect.stringMatching(/^docs\/a.md:2 has 150 characters: wrap it at 120/),
    ]);
  });

  test('a lock file that names a host', () => {
    const text = `{ "resolved": "https://packages.example.org/a.tgz" }`;
    expect(resolvedHosts(files({ 'package-lock.json': text }))).toHaveLength(1);
  });
});
