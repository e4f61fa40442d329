import { roundBytes } from '../bytes.ts';
import { titleOf } from './names.ts';
import type { ForestRow } from './view.ts';
import { chainWords, moreWords, plainName, styleOf } from './words.ts';

const width = 1200;
const margin = 10;
/** A file without blocks is drawn as if it had this share of all, so that it can be seen. */
const leastShare = 1 / 400;
/** Width of a character of the labels, about. */
const letter = 6.6;

/** One file in the picture, or the many that one row stands for. Lengths in the units of the picture. */
export interface IcicleBox {
  readonly row: ForestRow;
  readonly x: number;
  readonly y: number;
  readonly wide: number;
  readonly high: number;
  /** From 0 for no blocks of its own to 1 for the most that a file of the picture has. */
  readonly shade: number;
  readonly dead: boolean;
  readonly name: string;
  readonly own: string;
}

/** Where the files of a forest are drawn. */
export interface Icicle {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly IcicleBox[];
}

/** A file stands below the one it reads through, and is as wide as it and all below it take space. */
export function icicleOf(rows: readonly ForestRow[]): Icicle {
  const tops = plant(rows);
  const total = tops.reduce((sum, { weight }) => sum + weight, 0);
  const levels = tops.reduce((most, { levels: each }) => Math.max(most, each), 0);
  const high = levels > 24 ? 18 : 34;
  const largest = rows.reduce((most, row) => Math.max(most, ownOf(row)), 1);
  const scale = total > 0 ? (width - 2 * margin) / total : 0;
  const boxes: IcicleBox[] = [];
  let left = margin;
  for (const top of tops) {
    boxes.push(...placed(top, { left, scale, high, largest }));
    left += top.weight * scale;
  }
  return { width, height: levels * high + 2 * margin, boxes };
}

/**
 * The forest as an icicle in SVG: the darker, the more blocks lie in the file itself; what is dead is hatched.
 */
export function* forestIcicle(rows: readonly ForestRow[]): Generator<string> {
  const { height, boxes } = icicleOf(rows);
  const all = height + 24;
  yield `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${all}" font-family="sans-serif" font-size="12">`;
  yield '<defs><pattern id="dead" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="6" fill="#ffffff" fill-opacity="0.55"/></pattern></defs>';
  yield `<rect width="${width}" height="${all}" fill="#ffffff"/>`;
  for (const box of boxes) yield* boxLines(box);
  yield `<text x="${margin}" y="${all - margin}" fill="#495057">width: what a file and all below it hold; darker: more in the file itself; hatched: dead, kept for what reads through it</text>`;
  yield '</svg>';
}

interface Plot {
  readonly row: ForestRow;
  readonly below: Plot[];
  /** Own bytes of it and all below, with the least that is drawn. */
  weight: number;
  /** Levels from here down. */
  levels: number;
}

/** Rows come parents first, so going back through them meets each after all that hangs on it. */
function plant(rows: readonly ForestRow[]): readonly Plot[] {
  const total = rows.reduce((sum, row) => sum + ownOf(row), 0);
  const least = total > 0 ? total * leastShare : 1;
  const plots = new Map<string, Plot>();
  const all = rows.map((row): Plot => ({ row, below: [], weight: ownOf(row), levels: 1 }));
  for (const plot of all) for (const key of keysOf(plot.row)) plots.set(key, plot);
  const tops: Plot[] = [];
  for (const plot of all) {
    const parent = plot.row.above === undefined ? undefined : plots.get(plot.row.above);
    (parent ? parent.below : tops).push(plot);
  }
  for (const plot of all.toReversed()) {
    plot.weight += plot.below.reduce((sum, { weight }) => sum + weight, 0);
    plot.weight = Math.max(plot.weight, least);
    plot.levels += plot.below.reduce((most, { levels }) => Math.max(most, levels), 0);
  }
  return tops;
}

const keysOf = (row: ForestRow): readonly string[] =>
  'node' in row ? [row.node.key] : 'chain' in row ? row.chain.map(({ key }) => key) : [];

function ownOf(row: ForestRow): number {
  if ('node' in row) return Number(row.node.held ?? 0n);
  return Number('chain' in row ? row.own : row.more.own);
}

interface Scale {
  readonly left: number;
  readonly scale: number;
  readonly high: number;
  /** Own bytes of the largest file. */
  readonly largest: number;
}

function* placed(top: Plot, at: Scale): Generator<IcicleBox> {
  const { scale, high } = at;
  const left: { readonly plot: Plot; readonly x: number; readonly level: number }[] = [
    { plot: top, x: at.left, level: 0 },
  ];
  for (let next = left.pop(); next; next = left.pop()) {
    const { plot, x, level } = next;
    yield boxOf(plot, { x, y: margin + level * high, wide: plot.weight * scale }, at);
    let from = x;
    for (const below of plot.below) {
      left.push({ plot: below, x: from, level: level + 1 });
      from += below.weight * scale;
    }
  }
}

function boxOf(
  { row }: Plot,
  { x, y, wide }: Pick<IcicleBox, 'x' | 'y' | 'wide'>,
  { high, largest }: Scale,
): IcicleBox {
  const own = ownOf(row);
  // A file of a hundredth still differs from one of a thousandth.
  const shade = own === 0 ? 0 : Math.max(0, 1 + Math.log10(own / largest) / 4);
  const name = wordsOf(row);
  const size = roundBytes(BigInt(own));
  return {
    row,
    x,
    y,
    wide: Math.max(0.5, wide - 1),
    high: high - 1,
    shade,
    dead: isDeadRow(row),
    name,
    own: size,
  };
}

/** The two lines of a label that fit into a box; one where the box is low, '' where nothing can be read. */
export function labelsOf({ wide, high, name, own }: IcicleBox): readonly [string, string] {
  const room = Math.floor((wide - 8) / letter);
  return high > 20
    ? [fitted(name, room), fitted(own, room)]
    : [fitted(`${name}, ${own}`, room), ''];
}

function* boxLines(box: IcicleBox): Generator<string> {
  const { x, y, wide, high, shade } = box;
  const light = Math.round(94 - 54 * shade);
  const place = `x="${x.toFixed(1)}" y="${y}" width="${wide.toFixed(1)}" height="${high}"`;
  yield `<g><title>${escaped(`${box.name}, own ${box.own}`)}</title>`;
  yield `<rect ${place} fill="hsl(205 65% ${light}%)" stroke="#1b4965" stroke-width="0.5"/>`;
  if (box.dead) yield `<rect ${place} fill="url(#dead)"/>`;
  const [first, second] = labelsOf(box);
  const at = `x="${(x + 4).toFixed(1)}" fill="${light < 62 ? '#ffffff' : '#12303f'}"`;
  if (first !== '') yield `<text ${at} y="${y + 13}">${escaped(first)}</text>`;
  if (second !== '') yield `<text ${at} y="${y + 27}" font-size="11">${escaped(second)}</text>`;
  yield '</g>';
}

const isDeadRow = (row: ForestRow): boolean =>
  'chain' in row || ('node' in row && styleOf({ ...row, marked: false }) === 'dead');

function wordsOf(row: ForestRow): string {
  if ('more' in row) return moreWords(row.more);
  return 'chain' in row ? chainWords(row) : plainName(titleOf(row.node));
}

/** What of a text fits into so many characters; nothing where that is too little to know it by. */
const fitted = (text: string, room: number): string =>
  text.length <= room ? text : room < 5 ? '' : `${text.slice(0, room - 1)}…`;

const escaped = (words: string): string =>
  words
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
