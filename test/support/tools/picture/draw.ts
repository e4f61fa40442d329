import { roundBytes } from '../../../../src/model/bytes.ts';
import { ownBytesOf, type Step, type Story, type TreeFile } from './story.ts';

const width = 980;
const height = 500;
const tree = { left: 376, top: 92, column: 196, row: 100 };
const box = { width: 180, height: 66, inset: 12 };

// Each pair stands on the light ground of the picture itself, whatever the page around it looks like.
const colours: Readonly<
  Record<TreeFile['kind'], { readonly line: string; readonly fill: string }>
> = {
  volume: { line: '#0b7285', fill: '#e3fafc' },
  snapshot: { line: '#b35900', fill: '#fff4e6' },
  'hidden parent': { line: '#5f3dc4', fill: '#f3f0ff' },
  tombstone: { line: '#5c636a', fill: '#f1f3f5' },
};

interface Placed {
  readonly file: TreeFile;
  readonly x: number;
  readonly y: number;
}

/** The steps of a story and the clone tree they end with, as SVG. */
export function drawStory({ steps, files }: Story): string {
  const placed = place(files);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" fill="#212529">`,
    `<title>${escaped(titleOf(files))}</title>`,
    '<defs><marker id="reads" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#495057"/></marker></defs>',
    `<rect x="1" y="1" width="${width - 2}" height="${height - 2}" rx="10" fill="#ffffff" stroke="#adb5bd"/>`,
    text(24, 38, titleOf(files), 'font-size="17" font-weight="bold"'),
    text(24, 72, 'what happens', 'font-weight="bold"'),
    text(336, 72, 'space it adds', 'font-weight="bold" text-anchor="end"'),
    text(tree.left, 72, 'files on GPFS; an arrow leads to the file that is read through'),
    ...steps.flatMap(stepLines),
    ...placed.flatMap((each) => arrow(each, placed)),
    ...placed.flatMap(boxLines),
    ...legend(),
    '</svg>',
    '',
  ].join('\n');
}

function titleOf(files: readonly TreeFile[]): string {
  const volumes = files.filter(({ kind }) => kind === 'volume');
  const held = files.reduce((sum, file) => sum + ownBytesOf(file), 0);
  const size = roundBytes(BigInt(volumes[0]?.bytes ?? 0));
  return `${volumes.length} volumes of ${size} and their snapshots, in ${shown(held)}: no data was copied`;
}

const shown = (bytes: number): string => roundBytes(BigInt(bytes));

function stepLines({ what, grewBytes }: Step, n: number): readonly string[] {
  const y = 102 + n * 31;
  const grew = grewBytes === 0 ? '0' : shown(grewBytes);
  const weight = grewBytes === 0 ? 'font-weight="bold" fill="#0b7285"' : '';
  return [
    `<line x1="24" x2="336" y1="${y + 10}" y2="${y + 10}" stroke="#dee2e6"/>`,
    text(24, y, `${n + 1}. ${what}`),
    text(336, y, grew, `text-anchor="end" ${weight}`.trimEnd()),
  ];
}

/** Leaves side by side, parents above the middle of their children. */
function place(files: readonly TreeFile[]): readonly Placed[] {
  let leaves = 0;
  const columns = new Map<string, number>();
  const columnOf = ({ key }: TreeFile): number => {
    const below = files.filter(({ parent }) => parent === key).map(columnOf);
    const column = below.length > 0 ? ((below[0] ?? 0) + (below.at(-1) ?? 0)) / 2 : leaves++;
    columns.set(key, column);
    return column;
  };
  for (const file of files) if (file.parent === null) columnOf(file);
  return files.map((file) => ({
    file,
    x: tree.left + (columns.get(file.key) ?? 0) * tree.column,
    y: tree.top + file.depth * tree.row,
  }));
}

function arrow({ file, x, y }: Placed, all: readonly Placed[]): readonly string[] {
  const above = all.find((each) => each.file.key === file.parent);
  if (!above) return [];
  const middle = box.width / 2;
  return [
    `<line x1="${x + middle}" y1="${y}" x2="${above.x + middle}" y2="${above.y + box.height + 2}" stroke="#495057" stroke-width="1.4" marker-end="url(#reads)"/>`,
  ];
}

function boxLines({ file, x, y }: Placed): readonly string[] {
  const { line, fill } = colours[file.kind];
  const dashed = file.kind === 'tombstone' || file.kind === 'hidden parent';
  const room = box.width - 2 * box.inset;
  const part = (bytes: number): number => Math.round((bytes / file.bytes) * room);
  const own = ownBytesOf(file);
  const left = x + box.inset;
  return [
    `<rect x="${x}" y="${y}" width="${box.width}" height="${box.height}" rx="6" fill="${fill}" stroke="${line}" stroke-width="1.5"${dashed ? ' stroke-dasharray="5 3"' : ''}/>`,
    text(left, y + 19, file.name, 'font-weight="bold"'),
    text(x + box.width - box.inset, y + 19, file.kind, `text-anchor="end" fill="${line}"`),
    text(left, y + 38, `own ${shown(own)}, shared ${shown(file.sharedBytes)}`, 'font-size="12"'),
    `<rect x="${left}" y="${y + 47}" width="${room}" height="9" fill="#ffffff" stroke="${line}" stroke-width="0.8"/>`,
    `<rect x="${left}" y="${y + 47}" width="${part(own)}" height="9" fill="${line}"/>`,
    `<rect x="${left + part(own)}" y="${y + 47}" width="${part(file.sharedBytes)}" height="9" fill="${line}" fill-opacity="0.35"/>`,
  ];
}

function legend(): readonly string[] {
  const y = height - 26;
  const lines = [
    'bar: the whole volume; dark: blocks in its own file; pale: at most what it reads through its parents',
    'tombstone: a deleted snapshot that others still read; hidden parent: what a volume and its clone share',
  ];
  return lines.map((line, n) => text(24, y + n * 16, line, 'font-size="11.5" fill="#495057"'));
}

const text = (x: number, y: number, words: string, rest = ''): string =>
  `<text x="${x}" y="${y}"${rest === '' ? '' : ` ${rest}`}>${escaped(words)}</text>`;

const escaped = (words: string): string =>
  words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
