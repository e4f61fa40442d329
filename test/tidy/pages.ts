import { filesIn, type Tree } from './tree.ts';
import { prose } from './cites.ts';

/** Pages of docs that its table of contents leaves out. */
export const unlistedPages = (tree: Tree): readonly string[] =>
  filesIn(tree, 'docs', '.md')
    .filter((path) => !/^docs\/(?:README\.md$|adr\/\d|runbooks\/Gpfs)/.test(path))
    .map((path) => path.slice('docs/'.length))
    .filter((page) => !(tree.get('docs/README.md') ?? '').includes(`](${page})`))
    .map(
      (page) =>
        `docs/README.md has no link to ${page}: add it under tutorial, how-to, reference or explanation`,
    );

const longest = 120;

/** Lines of pages that are too long to read and to review. Tables, code and single long words may be. */
export const longLines = (tree: Tree): readonly string[] =>
  [...tree]
    .filter(([path]) => path.endsWith('.md'))
    .flatMap(([path, text]) =>
      prose(path, text)
        .filter(({ text }) => text.length > longest && !text.startsWith('|') && canBreak(text))
        .map(
          ({ number, text }) =>
            `${path}:${number} has ${text.length} characters: wrap it at ${longest} (npm run format does)`,
        ),
    );

// A heading is one line, as is a picture; code and addresses have no place to break.
function canBreak(text: string): boolean {
  if (/^(?:#|!\[)/.test(text)) return false;
  const whole = text.replaceAll(/`[^`]*`|\]\([^)]*\)/g, (found) => 'x'.repeat(found.length));
  return /\S\s/.test(whole.slice(0, longest).replace(/^\s*(?:[-*]|\d+\.|>)?\s+/, ''));
}
