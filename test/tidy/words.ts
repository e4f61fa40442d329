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
  const scanner = ts.createScanner(
    ts.ScriptTarget.Latest,
    false,
    ts.LanguageVariant.Standard,
    text,
  );
  let prose = '';
  for (let kind = scanner.scan(); kind !== ts.SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
    const token = scanner.getTokenText();
    prose += isProse(kind) ? token : token.replace(/[^\n]/g, ' ');
  }
  return prose;
}

const isProse = (kind: ts.SyntaxKind): boolean =>
  kind === ts.SyntaxKind.SingleLineCommentTrivia ||
  kind === ts.SyntaxKind.MultiLineCommentTrivia ||
  kind === ts.SyntaxKind.StringLiteral ||
  kind === ts.SyntaxKind.NoSubstitutionTemplateLiteral ||
  kind === ts.SyntaxKind.TemplateHead;
