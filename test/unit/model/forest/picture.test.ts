import { describe, expect, test } from 'vitest';
import { sumUp } from '../../../../src/model/forest/accounts.ts';
import { GiB, MiB } from '../../../../src/model/bytes.ts';
import { growForest, type ForestNode } from '../../../../src/model/forest/forest.ts';
import { fileJson, forestDot, forestMermaid } from '../../../../src/model/forest/graphs.ts';
import { rowsOf } from '../../../../src/model/forest/view.ts';
import { rootWords } from '../../../../src/model/forest/words.ts';
import { drawn, file } from '../../../support/model/forest.ts';

const claimed = { namespace: 'op', name: 'data' };
const uuid = '655bd0a5-13a7-4f0e-8bd1-0c8f6d6c2b1a';

const worn: readonly ForestNode[] = [
  file({ key: 'n.1-a', name: 'of nightly-1', kind: 'tombstone', held: 1200n * MiB }),
  file({ key: 'n.2-a', name: 'nightly-2', kind: 'snapshot', parent: 'n.1-a', held: 70n * MiB }),
  file({ key: 'd.1-a', name: 'of db', kind: 'hidden parent', parent: 'n.2-a', held: 4n * MiB }),
  file({ key: 'd.0-a', name: 'db', parent: 'd.1-a', held: 8n * MiB, attachedTo: ['a1'] }),
  file({ key: 'c.1-a', name: 'copy', parent: 'd.1-a', attachedTo: ['a1', 'b2'], leaving: true }),
  file({ key: 'r.1-a', name: 'restored', parent: 'n.2-a', held: 3n * GiB }),
  file({ key: 'l.1-a', name: 'lost', parent: 'gone.1-a', held: undefined }),
];

const stars = (count: number): readonly ForestNode[] =>
  Array.from({ length: count }, (_, n) =>
    file({ key: `v${n}.1-a`, name: `v${String(n).padStart(4, '0')}`, parent: 'g.1-a', held: MiB }),
  );

describe('the picture', () => {
  test('of a worn forest', () => {
    expect(drawn(worn)).toBe(
      [
        'NAME            KIND           DEPTH    SIZE      OWN   SHARED  AGE  NODE',
        'lost            volume             0  10 GiB        ?        0   3d  (its file is missing) (its parent gone.1-a is unknown)',
        'of nightly-1    tombstone          0  10 GiB  1.2 GiB        0   3d',
        '└─ nightly-2    snapshot           1  10 GiB   70 MiB  1.2 GiB   3d',
        '   ├─ of db     hidden parent      2  10 GiB    4 MiB  1.2 GiB   3d',
        '   │  ├─ copy   volume             3  10 GiB        0  1.2 GiB   3d  a1 and b2 (being deleted)',
        '   │  └─ db     volume             3  10 GiB    8 MiB  1.2 GiB   3d  a1',
        '   └─ restored  volume             2  10 GiB    3 GiB  1.2 GiB   3d',
      ].join('\n'),
    );
  });

  test('shows circles as such, and ends', () => {
    const circle = [file({ key: 'a', parent: 'b' }), file({ key: 'b', parent: 'a' })];
    const lines = drawn(circle).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(/^a +volume .*\(a circle: its parent b is below it\)$/);
    expect(lines[2]).toMatch(/^└─ b /);
  });

  test('of 5,000 volumes of one snapshot has one line for most of them', () => {
    const golden = file({ key: 'g.1-a', name: 'golden', kind: 'snapshot', held: 3n * GiB });
    const lines = drawn([golden, ...stars(5000)]).split('\n');
    expect(lines.map((line) => line.trim().split(/ {2,}/)[0])).toEqual([
      'NAME',
      'golden',
      '├─ v0000',
      '├─ v0001',
      '├─ v0002',
      '└─ … 4,997 more volumes, 4.9 GiB of their own',
    ]);
    expect(drawn([golden, ...stars(5000)], { collapse: false }).split('\n')).toHaveLength(5002);
    expect(drawn([golden, ...stars(8)]).split('\n')).toHaveLength(10);
  });

  test('takes whole trees together when they are alike, and only then', () => {
    const trees = Array.from({ length: 20 }, (_, n) => [
      file({ key: `s${n}`, kind: 'tombstone', held: MiB }),
      file({ key: `v${n}`, parent: `s${n}`, held: MiB }),
      ...(n === 19 ? [file({ key: `w${n}`, parent: `s${n}` })] : []),
    ]).flat();
    const lines = drawn(trees).split('\n');
    expect(lines.at(-1)).toBe(
      '… 16 more trees like these (16 volumes and 16 tombstones), 32 MiB of their own',
    );
    expect(lines.filter((line) => line.startsWith('s')).map((line) => line.split(' ')[0])).toEqual([
      's0',
      's1',
      's10',
      's19',
    ]);
  });

  test('keeps what is pointed at out of the crowd', () => {
    const golden = file({ key: 'g.1-a', name: 'golden', kind: 'snapshot' });
    const marked = drawn([golden, ...stars(100)], { marked: new Set(['v42.1-a']) });
    expect(marked).toMatch(/├─ v0042 .* ◀\n└─ … 96 more volumes/);
  });

  test('of what is looked for shows that and what is above it', () => {
    const wanted = ({ name }: ForestNode) => name === 'db';
    const lines = drawn(worn, { wanted }).split('\n').slice(1);
    expect(lines.map((line) => line.split(/ {2,}/).find((part) => part !== ''))).toEqual([
      'of nightly-1',
      '└─ nightly-2',
      ' ↓ of db',
      ' ↓ db',
    ]);
    expect(drawn(worn, { wanted: () => false }).split('\n')).toHaveLength(1);
  });

  test('of a chain of hundreds stays within sight', () => {
    const chain = Array.from({ length: 400 }, (_, n) =>
      file({ key: `c${n}`, kind: 'snapshot', parent: n === 0 ? null : `c${n - 1}` }),
    );
    const lines = drawn(chain).split('\n');
    expect(lines).toHaveLength(401);
    expect(lines.at(-1)).toMatch(/^ ↓ c399 +snapshot +399 /);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(120);
  });

  test('of a chain of dead files is one line, and --all shows each', () => {
    const dead = Array.from({ length: 20 }, (_, n) =>
      file({
        key: `t${n}`,
        kind: n === 3 ? 'hidden parent' : 'tombstone',
        name: `of pvc-655bd0a5-${n}`,
        parent: n === 0 ? null : `t${n - 1}`,
        held: MiB,
      }),
    );
    const files = [...dead, file({ key: 'v', parent: 't19', kubernetes: claimed })];
    expect(drawn(files).split('\n')).toEqual([
      'NAME                                          KIND    DEPTH    SIZE     OWN  SHARED  AGE  NODE',
      '⋮ 19 tombstones and 1 hidden parent in a row  dead     0–19          20 MiB',
      '└─ op/data                                    volume     20  10 GiB       0  20 MiB   3d',
    ]);
    expect(drawn(files, { collapse: false }).split('\n')).toHaveLength(22);
    // What is looked for keeps its own line.
    const wanted = ({ key }: ForestNode) => key === 't19';
    expect(drawn(files, { wanted })).toContain('of pvc-655bd0a5-19');
    expect(drawn(files, { marked: new Set(['t1']) }).split('\n')).toHaveLength(5);
  });

  test('calls files what Kubernetes calls them, with short ids beside', () => {
    const named = [
      file({ key: 's', kind: 'tombstone', name: 'of snapshot-9', kubernetes: claimed }),
      file({ key: 'v', name: `pvc-${uuid}`, parent: 's', kubernetes: claimed }),
      file({ key: 'w', name: 'by-hand', parent: 's' }),
    ];
    expect(drawn(named).split('\n')).toEqual([
      'NAME        ID        KIND       DEPTH    SIZE  OWN  SHARED  AGE  NODE',
      'of op/data            tombstone      0  10 GiB    0       0   3d',
      '├─ by-hand            volume         1  10 GiB    0       0   3d',
      '└─ op/data  655bd0a5  volume         1  10 GiB    0       0   3d',
    ]);
  });

  test('is grey where a file is dead, bold where it is pointed at, and only when asked', () => {
    const lines = drawn(worn, { color: true, marked: new Set(['d.0-a']) }).split('\n');
    const framed = lines.map((line) => line.replaceAll('\u001b[', '<'));
    expect(framed[2]).toMatch(/^<90mof nightly-1 .*<0m$/);
    expect(framed.find((line) => line.includes('─ db'))).toMatch(/^<1m.*◀<0m$/);
    expect(lines[3]).not.toContain('\u001b');
    expect(drawn(worn)).not.toContain('\u001b');
  });

  test('lets no name move the cursor or turn the text', () => {
    const name = 'a\u001b[2J\nb\u202ec';
    expect(drawn([file({ name, attachedTo: ['n\r1'] })])).toContain('a\\u{1b}[2J\\u{a}b\\u{202e}c');
    expect(drawn([file({ name })]).split('\n')).toHaveLength(2);
  });
});

test('one line says how a root is', () => {
  expect(rootWords('/gpfs/csi', '1f2e3d4c', sumUp(worn))).toBe(
    '/gpfs/csi (root 1f2e3d4c): 4 volumes, 1 snapshot, 1 tombstone and 1 hidden parent in 2 trees; ' +
      'volumes of 40 GiB, 3.1 GiB live, 1.2 GiB dead, deepest 3',
  );
  const clone = file({ key: 'c', parent: 'p', held: 0n });
  const empty = sumUp([file({ key: 'p', kind: 'hidden parent', held: 0n }), clone]);
  expect(rootWords('/r', '1f2e3d4c', empty)).toMatch(/, deepest 1, 1 empty parent$/);
  expect(rootWords('/r', '1f2e3d4c', sumUp([]))).toContain('no files in 0 trees');
});

describe('for other programs', () => {
  const rows = [...rowsOf(growForest(worn), { collapse: true, marked: new Set(['d.0-a']) })];
  const odd = file({ name: 'a"]<b>&`\\', key: 'end' });
  const oddRows = [...rowsOf(growForest([odd]), { collapse: true })];

  test('a Mermaid flowchart', () => {
    const lines = [...forestMermaid(rows)];
    expect(lines[0]).toBe('flowchart TD');
    expect(lines).toContain(
      '  n1["of nightly-1<br/>tombstone, 10 GiB<br/>own 1.2 GiB, shared 0"]:::dead',
    );
    expect(lines).toContain('  n1 --> n2');
    expect(lines.filter((line) => line.includes(' --> '))).toHaveLength(5);
    expect(lines.find((line) => line.includes('"db<br/>'))).toMatch(/, on a1<br\/>.*:::marked$/);
    expect([...forestMermaid(oddRows)][1]).toContain('"a#34;]#60;b#62;#38;#96;\\<br/>');
  });

  test('a Graphviz graph', () => {
    const lines = [...forestDot(rows)];
    expect([lines[0], lines.at(-1)]).toEqual(['digraph forest {', '}']);
    expect(lines).toContain(
      '  n1 [label="of nightly-1\\ntombstone, 10 GiB\\nown 1.2 GiB, shared 0" color=gray fontcolor=gray50];',
    );
    expect(lines.filter((line) => line.includes(' -> '))).toHaveLength(5);
    expect([...forestDot(oddRows)].join('\n')).toContain('label="a\\"]<b>&`\\\\\\n');
  });

  test('JSON, with sizes as numbers', () => {
    const files = rows.flatMap((row) => ('node' in row ? [fileJson(row)] : []));
    expect(files.find(({ key }) => key === 'd.0-a')).toEqual({
      key: 'd.0-a',
      kind: 'volume',
      name: 'db',
      parent: 'd.1-a',
      depth: 3,
      marked: true,
      bytes: 10 * 2 ** 30,
      ownBytes: 8 * 2 ** 20,
      sharedBytes: 1274 * 2 ** 20,
      createdMs: 1767355200000,
      attachedTo: ['a1'],
    });
    expect(files.find(({ name }) => name === 'lost')).toMatchObject({
      missing: true,
      flaw: 'unknown parent',
    });
  });
});
