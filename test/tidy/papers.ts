import { filesIn, type Tree } from './tree.ts';

const sections = ['Context', 'Decision', 'Consequence'];

/** What is wrong with the decisions in docs/adr. */
export function wrongDecisions(tree: Tree): readonly string[] {
  const papers = filesIn(tree, 'docs/adr', '');
  const numbers = papers.map((path) => /\/(\d{4})-[a-z0-9-]+\.md$/.exec(path)?.[1]);
  return [
    ...(papers.length === 0 ? ['docs/adr holds no decision'] : []),
    ...papers.flatMap((path, n) => {
      const number = numbers[n];
      if (number === undefined) return [`${path} is not named NNNN-some-words.md`];
      const taken = numbers.indexOf(number) < n ? [`${path} has a number twice`] : [];
      return [...taken, ...wrongPaper(path, tree.get(path) ?? '')];
    }),
  ];
}

function wrongPaper(path: string, text: string): readonly string[] {
  const lines = text.trimEnd().split('\n');
  const missing = sections.filter(
    (section) => !lines.some((line) => line.startsWith(`## ${section}`)),
  );
  return [
    ...(lines.length < 20 || lines.length > 60
      ? [`${path} has ${lines.length} lines; 20 to 60 say enough`]
      : []),
    ...missing.map((section) => `${path} has no section ${section}`),
  ];
}

/** Whether the lock file ties an installation to one registry. */
export const resolvedHosts = (tree: Tree): readonly string[] =>
  (tree.get('package-lock.json') ?? '')
    .split('\n')
    .filter((line) => /"resolved":|https?:\/\/(?:\w+\.)*(?:registry|npm)/.test(line))
    .map((line) => `package-lock.json: ${line.trim()}`);
