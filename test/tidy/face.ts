import { posix } from 'node:path';
import { z } from 'zod';
import { filesIn, type Tree } from './tree.ts';

/** The scripts of package.json. */
export const scriptsOf = (tree: Tree): readonly string[] =>
  Object.keys(
    z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(tree.get('package.json') ?? '{}')).scripts,
  );

/** Names with a colon begin with one of these. */
const groups = ['test', 'bench', 'e2e', 'format'];

/** Scripts without a line in CONTRIBUTING.md, lines without a script, and names of another form. */
export function wrongScripts(tree: Tree): readonly string[] {
  const scripts = scriptsOf(tree);
  const table = (tree.get('CONTRIBUTING.md') ?? '').split('\n## Every script\n')[1] ?? '';
  const rows = [...table.matchAll(/^\| `([\w:]+)` +\| (.*)\|$/gm)];
  const described = rows.filter(([, , words = '']) => words.trim() !== '').map(([, name]) => name);
  return [
    ...scripts
      .filter((name) => !described.includes(name))
      .map((name) => `${name} has no line under "Every script" in CONTRIBUTING.md: add one`),
    ...described
      .filter((name) => !scripts.includes(name ?? ''))
      .map((name) => `${name ?? ''} is described in CONTRIBUTING.md and not in package.json`),
    ...scripts
      .filter((name) => name.includes(':') && !groups.includes(name.split(':')[0] ?? ''))
      .map((name) => `${name} belongs to no group; names begin with ${groups.join(', ')}`),
  ];
}

/** The pages beside the code that people meet first. README.md and docs/ have a check with the chart's. */
const pages = (tree: Tree): readonly string[] => [
  ...[...tree.keys()].filter((path) => /^[A-Z_]+\.md$/.test(path)),
  ...filesIn(tree, '.github', '.md'),
];

/** Links of these pages that lead nowhere. */
export const brokenLinks = (tree: Tree): readonly string[] =>
  pages(tree).flatMap((page) =>
    [...(tree.get(page) ?? '').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, to = '']) => posix.join(posix.dirname(page), to))
      .filter((to) => ![...tree.keys()].some((path) => path === to || path.startsWith(`${to}/`)))
      .map((to) => `${page} links to ${to}, which is not there`),
  );

const most = 150;

/** What the first page must have. */
export function wrongReadme(tree: Tree): readonly string[] {
  const text = tree.get('README.md') ?? '';
  const lines = text.trimEnd().split('\n');
  const first = lines.slice(0, 30).join('\n');
  return [
    ...(lines.length > most ? [`README.md has ${lines.length} lines; ${most} are enough`] : []),
    ...(/^\*\*Status: [a-z]+\.\*\*/m.test(first) ? [] : ['README.md says no status in one word']),
    ...(/!\[[^\]]+\]\(docs\/images\/[\w-]+\.svg\)/.test(first) ? [] : ['README.md has no picture']),
    ...(first.includes('\n## When to use it\n') ? [] : ['README.md does not say what it is for']),
    ...['npm run demo', 'npm test', '## When not to use it']
      .filter((words) => !lines.includes(words))
      .map((words) => `README.md has no line ${words}`),
  ];
}

/** Generated files that .gitattributes does not mark. */
export function unmarkedFiles(tree: Tree): readonly string[] {
  const marks = (tree.get('.gitattributes') ?? '')
    .split('\n')
    .filter((line) => line.includes(' linguist-generated'))
    .map((line) => matcherOf(line.split(' ')[0] ?? ''));
  return [
    'package-lock.json',
    'charts/gpfs-csi/README.md',
    ...filesIn(tree, 'test/chart/snapshots', '.yaml'),
    ...filesIn(tree, 'deploy/manifests', '.yaml'),
    ...filesIn(tree, 'docs/images', '.svg'),
  ]
    .filter((path) => !marks.some((mark) => mark.test(path)))
    .map((path) => `${path} is generated: mark it in .gitattributes`);
}

// `**` is any path, `*` any name; a pattern without a slash holds in each folder.
function matcherOf(pattern: string): RegExp {
  const parts = pattern.replace(/^\//, '').split(/(\*\*|\*)/);
  const body = parts
    .map((part) => ({ '**': '.*', '*': '[^/]*' })[part] ?? part.replaceAll('.', '\\.'))
    .join('');
  return new RegExp(`${pattern.includes('/') ? '^' : '(?:^|/)'}${body}$`);
}

const renovate = z.object({
  customManagers: z.array(
    z.object({
      managerFilePatterns: z.array(z.string()),
      matchStrings: z.array(z.string()),
    }),
  ),
});

/** Versions in code that renovate.json does not find. */
export function unwatchedVersions(tree: Tree): readonly string[] {
  const { customManagers } = renovate.parse(JSON.parse(tree.get('renovate.json') ?? '{}'));
  const watched = ([path, text]: readonly [string, string]): number =>
    customManagers
      .filter(({ managerFilePatterns }) =>
        managerFilePatterns.some((pattern) => new RegExp(pattern.slice(1, -1)).test(path)),
      )
      .flatMap(({ matchStrings }) => matchStrings)
      .reduce((sum, pattern) => sum + [...text.matchAll(new RegExp(pattern, 'g'))].length, 0);
  const versions = /'v\d+\.\d+\.\d+'/g;
  return [...tree]
    .filter(([path]) => /^test\/(?:support|e2e\/setup)\/.*\.ts$/.test(path))
    .flatMap((file) => {
      const held = [...file[1].matchAll(versions)].length;
      return watched(file) === held
        ? []
        : [`${file[0]} holds ${held} versions; renovate.json finds ${watched(file)}`];
    });
}
