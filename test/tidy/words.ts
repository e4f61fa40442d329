import type { Tree } from './tree.ts';

/** Words that must not be in a file, and why; `where` narrows it to some paths. */
interface Ban {
  readonly pattern: RegExp;
  readonly where: RegExp;
  readonly why: string;
}

const everywhere = /^/;
const code = /^(?:src|test|scripts)\/.*\.(?:ts|mjs)$/;

// Written so that no pattern finds itself.
const bans: readonly Ban[] = [
  {
    pattern: /(?<![\w.])\/(?:wor[k]|hom[e]\/\w+|roo[t]\/)\//,
    where: everywhere,
    why: 'names a path of one machine',
  },
  {
    pattern: /\b(?:registr[y]\.[a-z]+\.|prox[y]\.golang\.|artifactor[y])/,
    where: everywhere,
    why: 'names a host that packages come from',
  },
  { pattern: /\b(?:TOD[O]|FIXM[E])\b/, where: everywhere, why: 'leaves work to nobody' },
  {
    pattern: /\b(?:test|it|describe|suite)\.(?:ski[p]|onl[y]|tod[o]|skipI[f]|runI[f])\b/,
    where: /^test\//,
    why: 'keeps a test from running',
  },
  {
    pattern: /\bvi\.(?:moc[k]|doMoc[k]|f[n]|spyO[n]|stub\w+)\(/,
    where: /^test\//,
    why: 'tests a stand-in instead of the driver',
  },
  {
    pattern: /@ts-(?:ignor[e]|expect-erro[r]|nochec[k])/,
    where: code,
    why: 'silences the compiler',
  },
  {
    pattern: /eslint-disable.*(?:max-line[s]|complexit[y]|no-explicit-an[y])/,
    where: code,
    why: 'takes itself out of a limit',
  },
  {
    pattern: /\bprocess\.(?:en[v]|exi[t]\()/,
    where: /^src\/(?!cli\/)/,
    why: 'only src/cli reads the environment and ends the process',
  },
  {
    pattern: /grp[c]|Grp[c]/,
    where: /^src\/(?!cli\/|server\/|wire\/)/,
    why: 'speaks of gRPC outside of the server',
  },
];

// The lock file is npm's own text; it has a check of its own.
const isExempt = (path: string): boolean => path === 'package-lock.json';

/** Banned words, with the line they are in. */
export function bannedWords(tree: Tree): readonly string[] {
  return [...tree]
    .filter(([path]) => !isExempt(path))
    .flatMap(([path, text]) =>
      bans
        .filter(({ where }) => where.test(path))
        .flatMap(({ pattern, why }) =>
          text
            .split('\n')
            .flatMap((line, n) => (pattern.test(line) ? [`${path}:${n + 1} ${why}`] : [])),
        ),
    );
}
