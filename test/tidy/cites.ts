import { posix } from 'node:path';
import { filesIn, type Tree } from './tree.ts';

/** A piece of text that may name other files: a line of a page, or of a comment. */
interface Line {
  readonly path: string;
  readonly number: number;
  readonly text: string;
}

const outer = /(?<![\w./*@-])(?:docs|src|test|scripts|charts|deploy)\/[\w./-]*\w/g;

// Comments and pages may leave `src/` out, as in `model/fault.ts`.
const inner =
  /(?<![\w./*@-])(?:cli|simulator|server|service|store|gpfs|linux|run|observe|model|wire)\/[\w./-]*\w\.ts\b/g;

/** Paths that pages and comments name, and that lead nowhere. */
export const wrongPaths = (tree: Tree): readonly string[] =>
  speakingLines(tree).flatMap(({ path, number, text }) =>
    [...matches(text, outer), ...matches(text, inner).map((found) => `src/${found}`)]
      .filter((found) => !isThere(tree, found))
      .map(
        (found) =>
          `${path}:${number} names ${found}, which does not exist: name the place it has now, or take the sentence out`,
      ),
  );

/** Decisions (`ADR 7`) and sections of the page on GPFS (`docs/gpfs.md 1.4`) that are named and do not exist. */
export const wrongNumbers = (tree: Tree): readonly string[] =>
  speakingLines(tree).flatMap(({ path, number, text }) => [
    ...matches(text, /\bADR \d+/g)
      .filter((found) => !hasDecision(tree, Number(found.slice(4))))
      .map((found) => `${path}:${number} names ${found}: docs/adr has no file of that number`),
    ...matches(text, /docs\/gpfs\.md \d+(?:\.\d+)?/g)
      .filter((found) => !hasSection(tree, found.split(' ')[1] ?? ''))
      .map(
        (found) => `${path}:${number} cites ${found}: docs/gpfs.md has no heading of that number`,
      ),
  ]);

/** Links of pages that lead to no file, or to no heading of it. */
export const wrongLinks = (tree: Tree): readonly string[] =>
  pagesOf(tree).flatMap(([path, text]) =>
    prose(path, text).flatMap((line) =>
      [...line.text.matchAll(/\]\(([^()\s]+)\)/g)]
        .map(([, to = '']) => to)
        .filter((to) => !/^[a-z]+:/.test(to) && !leadsSomewhere(tree, path, to))
        .map(
          (to) =>
            `${path}:${line.number} links to ${to}, which is no file or has no such heading: correct the link`,
        ),
    ),
  );

/** The words that a link uses for a heading: lower case, `-` for blanks, nothing else that is no letter or digit. */
export const anchorOf = (heading: string): string =>
  heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');

/** The lines of a page outside of fenced code, with their numbers. */
export function prose(path: string, text: string): readonly Line[] {
  let fenced = false;
  return text.split('\n').flatMap((line, n) => {
    const fence = /^\s*(?:```|~~~)/.test(line);
    if (fence) fenced = !fenced;
    return fence || fenced ? [] : [{ path, number: n + 1, text: line }];
  });
}

/** All pages, but for the history of changes: that speaks of its own time. */
const pagesOf = (tree: Tree): readonly (readonly [string, string])[] =>
  [...tree].filter(([path]) => path.endsWith('.md') && path !== 'CHANGELOG.md');

// What tools read, and names paths: a file that moved would be missed there only by the tool.
const settings =
  /^(?:\.github\/.*\.yml|\.ci\/.*|Dockerfile|knip\.json|eslint\.config\.js|vitest\.config\.ts)$/;

function speakingLines(tree: Tree): readonly Line[] {
  const all = ([path, text]: readonly [string, string]) =>
    text.split('\n').map((line, n) => ({ path, number: n + 1, text: line }));
  const comments = (line: Line) => ({ ...line, text: commentIn(line) });
  return [
    ...pagesOf(tree).flatMap(all),
    // In src the sentences of errors and of help name pages too.
    ...texts(tree, 'src', '.ts').flatMap(all),
    ...[...texts(tree, 'test', '.ts'), ...texts(tree, 'scripts', '.mjs')]
      .flatMap(all)
      .map(comments),
    ...[...tree].filter(([path]) => settings.test(path)).flatMap(all),
    ...['.yaml', '.tpl', '.txt'].flatMap((end) =>
      [...texts(tree, 'charts', end), ...texts(tree, 'deploy', end)].flatMap(all).map(comments),
    ),
  ];
}

const texts = (tree: Tree, folder: string, end: string): readonly (readonly [string, string])[] =>
  filesIn(tree, folder, end).map((path) => [path, tree.get(path) ?? ''] as const);

const commentIn = ({ path, text }: Line): string =>
  (/\.(?:ts|mjs)$/.test(path)
    ? /(?:^\s*(?:\/\*)?\*+|(?:^|\s)\/\/)\s(.*)$/
    : /(?:^|\s)#\s*(.*)$/
  ).exec(text)?.[1] ?? '';

// `kubectl logs deploy/NAME` names an object of the cluster.
const matches = (text: string, pattern: RegExp): readonly string[] =>
  [...text.matchAll(pattern)]
    .map(([found]) => found)
    .filter((found) => !(found.startsWith('deploy/') && /\bkubectl .*\b(?:logs|exec) /.test(text)));

const isThere = (tree: Tree, path: string): boolean =>
  tree.has(path) ||
  [...tree.keys()].some((known) => known.startsWith(`${path}/`)) ||
  // Made at installation or by a build, or an image, which the tree leaves out.
  /^src\/wire\b|\.(?:png|gif)$/.test(path);

const hasDecision = (tree: Tree, number: number): boolean =>
  filesIn(tree, 'docs/adr', '.md').some((path) =>
    path.startsWith(`docs/adr/${String(number).padStart(4, '0')}-`),
  );

const hasSection = (tree: Tree, number: string): boolean =>
  (tree.get('docs/gpfs.md') ?? '')
    .split('\n')
    .some((line) => /^#+ /.test(line) && line.split(' ')[1]?.replace(/\.$/, '') === number);

function leadsSomewhere(tree: Tree, from: string, to: string): boolean {
  const [file = '', anchor] = to.split('#');
  const target = file === '' ? from : posix.join(posix.dirname(from), file);
  if (!isThere(tree, target.replace(/\/$/, ''))) return false;
  return anchor === undefined || anchorsOf(target, tree.get(target) ?? '').includes(anchor);
}

const anchorsOf = (path: string, text: string): readonly string[] =>
  prose(path, text)
    .filter((line) => /^#+ /.test(line.text))
    .map((line) => anchorOf(line.text.replace(/^#+ /, '')));
