import type { FileKind, ForestNode } from '../../model/forest/forest.ts';
import { matchesGlob } from '../../model/forest/glob.ts';
import { readLength } from './ago.ts';
import { UsageError } from './config.ts';
import type { RootCommandLine, OwnFlag } from './root-flags.ts';

/** What to show of a forest. */
export interface TreeQuery {
  readonly as: 'text' | 'json' | 'mermaid' | 'dot';
  readonly collapse: boolean;
  /** Whether to show a file; undefined: show all. */
  readonly wanted: ((node: ForestNode, depth: number) => boolean) | undefined;
  /** The volume or snapshot whose tree to show; undefined: show all trees. */
  readonly id: string | undefined;
}

/** Flags of `gpfs-csi tree`. */
export const treeFlags = {
  name: { takes: 'value', meaning: 'only files whose name or id matches; * and ? are wildcards' },
  kind: {
    takes: 'value',
    meaning: 'only files of one kind: volume, snapshot, tombstone or hidden',
  },
  attached: { takes: 'value', meaning: 'only volumes attached to the node of this name' },
  deeper: {
    takes: 'value',
    meaning: 'only files with more clone parents above them than this number',
  },
  older: { takes: 'value', meaning: 'only files older than this: 90m, 12h, 7d or 4w' },
  all: { takes: 'nothing', meaning: 'a line for each file, also where many are alike' },
  json: { takes: 'nothing', meaning: 'as JSON, with one list of files for each root' },
  mermaid: { takes: 'nothing', meaning: 'as a Mermaid flowchart' },
  dot: { takes: 'nothing', meaning: 'as a Graphviz graph' },
} as const satisfies Readonly<Record<string, OwnFlag>>;

type Flag = keyof typeof treeFlags;
type Wanted = (node: ForestNode, depth: number) => boolean;

/** Reads the flags and the word of a command line. Throws UsageError with all that is wrong. */
export function readTreeQuery({
  flags,
  words,
}: Pick<RootCommandLine, 'flags' | 'words'>): TreeQuery {
  const problems: string[] = [];
  const forms = (['json', 'mermaid', 'dot'] as const).filter((form) => flags.has(form));
  if (forms.length > 1)
    problems.push(`${forms.map((form) => `--${form}`).join(' and ')} exclude each other`);
  const tests = filters.flatMap(({ flag, read }) => {
    const value = flags.get(flag);
    const found = value === undefined ? undefined : read(value);
    if (typeof found === 'string') problems.push(`--${flag} ${found}`);
    return typeof found === 'function' ? [found] : [];
  });
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  const wanted: Wanted = (node, depth) => tests.every((test) => test(node, depth));
  return {
    as: forms[0] ?? 'text',
    collapse: !flags.has('all'),
    wanted: tests.length > 0 ? wanted : undefined,
    id: words.find((word) => !word.startsWith('/')),
  };
}

interface Filter {
  readonly flag: Flag;
  /** The test that the value means, or what is wrong with it. */
  readonly read: (value: string) => Wanted | string;
}

const kinds: Readonly<Record<string, FileKind>> = {
  volume: 'volume',
  snapshot: 'snapshot',
  tombstone: 'tombstone',
  hidden: 'hidden parent',
};

const filters: readonly Filter[] = [
  {
    flag: 'name',
    read:
      (pattern) =>
      ({ name, id }) =>
        matchesGlob(pattern, name) || (id !== undefined && matchesGlob(pattern, id)),
  },
  {
    flag: 'kind',
    read: (value) => {
      const wanted = Object.hasOwn(kinds, value) ? kinds[value] : undefined;
      if (wanted === undefined) return `must be one of ${Object.keys(kinds).join(', ')}`;
      return ({ kind }) => kind === wanted;
    },
  },
  {
    flag: 'attached',
    read:
      (node) =>
      ({ attachedTo }) =>
        attachedTo.includes(node),
  },
  {
    flag: 'deeper',
    read: (value) => {
      if (!/^\d{1,6}$/.test(value)) return 'must be a whole number';
      return (_, depth) => depth > Number(value);
    },
  },
  {
    flag: 'older',
    read: (value) => {
      const length = readLength(value);
      if (length === undefined) return 'must be a time like 90m, 12h, 7d or 4w';
      const beforeMs = Date.now() - length;
      return ({ createdMs }) => createdMs < beforeMs;
    },
  },
];
