import ts from 'typescript';
import { bans, type Ban } from './rules.ts';
import type { Tree } from './tree.ts';

// The lock file is npm's own text; it has a check of its own. The lists of rules name what they forbid.
const exempt: readonly string[] = ['package-lock.json', 'test/tidy/rules.ts'];

/** Banned words, with the line that they are in and what to do instead. */
export const bannedWords = (tree: Tree): readonly string[] =>
  [...tree]
    .filter(([path]) => !exempt.includes(path))
    .flatMap(([path, text]) => {
      const mine = bans.filter(({ where }) => where.test(path));
      const prose = mine.some(({ of }) => of === 'prose') ? proseOf(path, text) : '';
      return mine.flatMap((ban) => found(path, ban.of === 'prose' ? prose : text, ban));
    });

const found = (path: string, text: string, { pattern, why }: Ban): readonly string[] =>
  text.split('\n').flatMap((line, n) => {
    const word = pattern.exec(line)?.[0];
    return word === undefined ? [] : [`${path}:${n + 1} "${word}" ${why}`];
  });

/** The lines of a file with only what people read: comments and strings of a program, the whole of a page. */
function proseOf(path: string, text: string): string {
  if (!path.endsWith('.ts')) return text;
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const spans: Span[] = [];
  const visit = (node: ts.Node): void => {
    if (isText(node)) spans.push({ pos: node.getStart(file), end: node.end });
    // A comment belongs to the first token after it, or to the last token before it.
    if (node.getChildCount(file) === 0) {
      spans.push(...(ts.getLeadingCommentRanges(text, node.pos) ?? []));
      spans.push(...(ts.getTrailingCommentRanges(text, node.end) ?? []));
    }
    node.getChildren(file).forEach(visit);
  };
  visit(file);
  return masked(text, spans);
}

interface Span {
  readonly pos: number;
  readonly end: number;
}

const isText = (node: ts.Node): boolean =>
  ts.isStringLiteralLike(node) ||
  ts.isTemplateHead(node) ||
  ts.isTemplateMiddle(node) ||
  ts.isTemplateTail(node);

/** The text with a blank for each character outside of the spans; its lines stay where they are. */
function masked(text: string, spans: readonly Span[]): string {
  const characters = text.replace(/[^\n]/g, ' ').split('');
  for (const { pos, end } of spans)
    for (let at = pos; at < end; at++) characters[at] = text[at] ?? '';
  return characters.join('');
}
