import { filesIn, type Tree } from './tree.ts';

interface Lock {
  readonly packages?: Readonly<
    Record<string, { integrity?: string; link?: boolean; inBundle?: boolean }>
  >;
}

const sections = ['Context', 'Decision', 'Consequence'];
const index = 'docs/adr/README.md';
const statuses = /^(?:accepted|proposed|replaced by \d+)(?:; .+)?$/;

/** What is wrong with the decisions in docs/adr. */
export function wrongDecisions(tree: Tree): readonly string[] {
  const papers = filesIn(tree, 'docs/adr', '').filter((path) => path !== index);
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

/** What is wrong with the index of decisions: it lists each of them once, with a status, and nothing else. */
export function wrongIndex(tree: Tree): readonly string[] {
  const rows = [
    ...(tree.get(index) ?? '').matchAll(/^\| \[(\d+)\]\(([^)]+)\) *\|[^|]+\| *([^|]*?) *\|$/gm),
  ];
  const listed = rows.map(([, , file = '']) => `docs/adr/${file}`);
  const papers = filesIn(tree, 'docs/adr', '.md').filter((path) => path !== index);
  return [
    ...papers
      .filter((path) => listed.filter((each) => each === path).length !== 1)
      .map((path) => `${index} must list ${path} once, as | [N](FILE) | title | status |`),
    ...rows.flatMap(([, number = '', file = '', status = '']) => [
      ...(papers.includes(`docs/adr/${file}`) && Number(file.slice(0, 4)) === Number(number)
        ? []
        : [`${index} lists ${number} as ${file}, which is no decision of that number`]),
      ...(statuses.test(status)
        ? []
        : [
            `${index} gives ${number} the status "${status}": say accepted, proposed or replaced by N`,
          ]),
    ]),
  ];
}

/** Whether the lock file ties an installation to one registry. */
export const resolvedHosts = (tree: Tree): readonly string[] =>
  (tree.get('package-lock.json') ?? '')
    .split('\n')
    .filter((line) => /"resolved":|https?:\/\/(?:\w+\.)*(?:registry|npm)/.test(line))
    .map((line) => `package-lock.json: ${line.trim()}: run npm run lock`);

/** Entries of the lock file without the sum of their package: npm would install an altered one without a word. */
export function entriesWithoutSum(tree: Tree): readonly string[] {
  const lock = JSON.parse(tree.get('package-lock.json') ?? '{}') as Lock;
  const entries = Object.entries(lock.packages ?? {}).filter(([path]) => path !== '');
  if (entries.length === 0) return ['package-lock.json holds no packages'];
  return entries
    .filter(([, { link, inBundle }]) => link !== true && inBundle !== true)
    .filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''))
    .map(([path]) => `package-lock.json: ${path} has no sha512: run npm run lock`);
}
