import { sumUp } from '../model/forest/accounts.ts';
import { roundBytes } from '../model/bytes.ts';
import type { Check } from '../model/audit/check.ts';
import type { ForestNode } from '../model/forest/forest.ts';
import { ageWords, queueWords } from '../model/forest/words.ts';
import type { ReportData, ReportRoot } from '../model/report/data.ts';
import { draw, make, section } from './dom.ts';

/** Figures of a root: how much there is of what, and how full its file system is. */
export function figures(root: ReportRoot, files: readonly ForestNode[]): HTMLElement {
  const sums = sumUp(files);
  const used = root.totalBytes - root.freeBytes;
  const cards: readonly (readonly [string, string])[] = [
    ['volumes', String(sums.files.volume)],
    ['snapshots', String(sums.files.snapshot)],
    ['dead files', String(sums.files.tombstone + sums.files['hidden parent'])],
    ['sizes of volumes', roundBytes(sums.logical)],
    ['live', roundBytes(sums.live)],
    ['dead, reclaimable at most', roundBytes(sums.dead)],
    ['deepest', String(sums.deepest)],
    ['file system', `${roundBytes(BigInt(used))} of ${roundBytes(BigInt(root.totalBytes))}`],
  ];
  return make(
    'dl',
    { class: 'figures' },
    ...cards.map(([name, value]) =>
      make('div', {}, make('dt', { text: name }), make('dd', { text: value })),
    ),
  );
}

/** What the doctor found, what is wrong first. */
export function doctorTable(checks: readonly Check[]): HTMLElement {
  const rank = { failed: 0, warning: 1, note: 2, ok: 3 };
  const sorted = checks.toSorted((a, b) => rank[a.status] - rank[b.status]);
  return table(
    ['result', 'check', 'what it found'],
    sorted.map(({ name, status, says }) => [status, name, says]),
  );
}

/** The servers, the abilities and the queue of a root. */
export function serversOf({ fleet }: ReportRoot, madeMs: number): readonly HTMLElement[] {
  const nodes = fleet.nodes.map((node) => [
    node.node,
    node.version,
    node.sign,
    ageWords(node.seenMs, madeMs),
    String(node.attached),
    node.problems?.map(({ what, says }) => `${what}: ${says}`).join('; ') ?? 'not said',
  ]);
  const abilities = Object.entries(fleet.probe?.abilities ?? {}).map(([name, value]) => [
    name,
    value ? 'yes' : 'no',
  ]);
  const queue = queueWords(fleet.queue);
  return [
    section(
      'nodes',
      'Nodes',
      table(['node', 'version', 'sign', 'seen', 'volumes', 'problems'], nodes),
    ),
    section('queue', 'Queue', list(queue.length > 0 ? queue : ['nothing is on the queue'])),
    section('abilities', 'What this GPFS allows', table(['ability', 'answer'], abilities)),
  ];
}

export const list = (lines: readonly string[]): HTMLElement =>
  make('ul', {}, ...lines.map((text) => make('li', { text })));

/** A table; rows are as long as the heading. */
function table(headings: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  const head = make(
    'tr',
    {},
    ...headings.map((text) => make('th', { text, attributes: { scope: 'col' } })),
  );
  const body = rows.map((cells) =>
    make('tr', { class: cells[0] ?? '' }, ...cells.map((text) => make('td', { text }))),
  );
  return make('table', {}, make('thead', {}, head), make('tbody', {}, ...body));
}

const months = 12;
const monthMs = (365 * 86_400_000) / months;
const bar = { wide: 44, high: 120, gap: 8 };

/** What is there now by when it was made, in twelve parts of a year; and how much was made before. */
export function yearOf({ madeMs }: ReportData, files: readonly ForestNode[]): HTMLElement {
  const parts = Array.from({ length: months }, () => ({ files: 0, bytes: 0 }));
  for (const { createdMs, held = 0n } of files) {
    const part = parts[months - 1 - Math.floor((madeMs - createdMs) / monthMs)];
    if (!part) continue;
    part.files += 1;
    part.bytes += Number(held);
  }
  const most = parts.reduce((max, { bytes }) => Math.max(max, bytes), 1);
  const bars = parts.flatMap(({ files: count, bytes }, n) => {
    const high = (bytes / most) * bar.high;
    const x = n * (bar.wide + bar.gap);
    const words = `${roundBytes(BigInt(bytes))}, ${count} files`;
    const box = { x, y: bar.high - high, width: bar.wide, height: high, class: 'bar' };
    return [
      draw('rect', { attributes: box }, draw('title', { text: words })),
      draw('text', { text: `${months - n} mo`, attributes: { x, y: bar.high + 14 } }),
      draw('text', { text: roundBytes(BigInt(bytes)), attributes: { x, y: bar.high + 28 } }),
    ];
  });
  const viewBox = `0 -4 ${months * (bar.wide + bar.gap)} ${bar.high + 36}`;
  return section(
    'year',
    'The last year, of what is there now',
    make('p', {
      text: 'Own bytes of the files of today, by when each file was made: the bar at the right is the last month. This is not what the root held then: files that were deleted since are not in it, and a volume that was made long ago may have been written yesterday.',
    }),
    draw(
      'svg',
      { attributes: { viewBox, class: 'year', role: 'img', 'aria-label': 'own bytes by month' } },
      ...bars,
    ),
  );
}
