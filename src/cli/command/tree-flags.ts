import type { FileKind, ForestNode } from '../../model/forest/forest.ts';
import { matchesGlob } from '../../model/forest/glob.ts';
import { titleOf } from '../../model/forest/names.ts';
import { orders, type Order } from '../../model/forest/sorted.ts';
import { readLength } from './ago.ts';
import { UsageError } from './config.ts';
import type { RootCommandLine, OwnFlag } from './root-flags.ts';

const forms = ['json', 'mermaid', 'dot', 'icicle'] as const;
type Form = (typeof forms)[number];

/** What to show of a forest. */
export interface TreeQuery {
  readonly as: 'text' | Form;
  readonly collapse: boolean;
  /** Whether to show a file; undefined: show all. */
  readonly wanted: ((node: ForestNode, depth: number) => boolean) | undefined;
  /** The volume or snapshot whose tree to show; undefined: show all trees. */
  readonly id: string | undefined;
  /** Names of objects whose deletion to look at; then nothing else is shown. */
  readonly ifDeleted: readonly string[] | undefined;
  /** An order for a list without trees; undefined: show trees. */
  readonly sort: Order | undefined;
  /** The most files in that list. */
  readonly top: number;
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
  'if-deleted': {
    takes: 'value',
    meaning:
      'NAME[,NAME]: what deleting these volumes and snapshots would free, and what would stay',
  },
  sort: {
    takes: 'value',
    meaning: 'a list instead of trees, by own, reclaimable, age, depth or name; the most first',
  },
  top: { takes: 'value', meaning: 'only so many files of that list; without --sort by own' },
  all: { takes: 'nothing', meaning: 'a line for each file, also where many are alike' },
  json: { takes: 'nothing', meaning: 'as JSON, with one list of files for each root' },
  mermaid: { takes: 'nothing', meaning: 'as a Mermaid flowchart' },
  dot: { takes: 'nothing', meaning: 'as a Graphviz graph' },
  icicle: { takes: 'nothing', meaning: 'as an SVG picture: width by space, colour by own bytes' },
} as const satisfies Readonly<Record<string, OwnFlag>>;

type Flag = keyof typeof treeFlags;
type Wanted = (node: ForestNode, depth: number) => boolean;

/** Reads the flags and the word of a command line. Throws UsageError with all that is wrong. */
export function readTreeQuery({
  flags,
  words,
}: Pick<RootCommandLine, 'flags' | 'words'>): TreeQuery {
  const problems = [...clashes(flags, words), ...badOrders(flags)];
  const tests = filters.flatMap(({ flag, read }) => {
    const value = flags.get(flag);
    const found = value === undefined ? undefined : read(value);
    if (typeof found === 'string') problems.push(`--${flag} ${found}`);
    return typeof found === 'function' ? [found] : [];
  });
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  const wanted: Wanted = (node, depth) => tests.every((test) => test(node, depth));
  const top = flags.get('top');
  return {
    as: forms.find((form) => flags.has(form)) ?? 'text',
    collapse: !flags.has('all'),
    wanted: tests.length > 0 ? wanted : undefined,
    id: wordOf(words),
    ifDeleted: flags
      .get('if-deleted')
      ?.split(',')
      .filter((name) => name !== ''),
    sort: orderOf(flags.get('sort')) ?? (top === undefined ? undefined : 'own'),
    top: top === undefined ? Infinity : Number(top),
  };
}

const wordOf = (words: readonly string[]) => words.find((word) => !word.startsWith('/'));

const orderOf = (text: string | undefined): Order | undefined =>
  orders.find((order) => order === text);

/** What cannot be asked for together. */
function clashes(
  flags: RootCommandLine['flags'],
  words: RootCommandLine['words'],
): readonly string[] {
  const given = forms.filter((form) => flags.has(form)).map((form) => `--${form}`);
  const lists = ['if-deleted', 'sort', 'top'].filter((flag) => flags.has(flag));
  const pictures = given.filter((form) => form !== '--json');
  const others = ['sort', 'top', 'name', 'kind', 'attached', 'deeper', 'older'].filter((flag) =>
    flags.has(flag),
  );
  const word = wordOf(words);
  return [
    ...(given.length > 1 ? [`${given.join(' and ')} exclude each other`] : []),
    ...(lists.length > 0
      ? pictures.map((form) => `${form} draws trees, and --${lists[0] ?? ''} gives a list`)
      : []),
    ...(flags.has('if-deleted')
      ? others.map((flag) => `--if-deleted and --${flag} exclude each other`)
      : []),
    ...(flags.has('if-deleted') && word !== undefined
      ? [`"${word}" is not expected here: --if-deleted takes all names, with commas between them`]
      : []),
  ];
}

function badOrders(flags: RootCommandLine['flags']): readonly string[] {
  const sort = flags.get('sort');
  const top = flags.get('top');
  const names = flags.get('if-deleted');
  return [
    ...(sort !== undefined && orderOf(sort) === undefined
      ? [`--sort must be one of ${orders.join(', ')}`]
      : []),
    ...(top !== undefined && !/^[1-9]\d{0,5}$/.test(top)
      ? ['--top must be a whole number of at least 1']
      : []),
    ...(names !== undefined && /^[\s,]*$/.test(names)
      ? ['--if-deleted needs at least one name']
      : []),
  ];
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
    read: (pattern) => (node) =>
      [node.name, titleOf(node), node.id ?? ''].some((text) => matchesGlob(pattern, text)),
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
