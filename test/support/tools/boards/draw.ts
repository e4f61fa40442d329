import { roundBytes } from '../../../../src/model/bytes.ts';

/** A series of an answer of Prometheus, with the text of its legend. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

/** One panel of a dashboard, with what Prometheus answered. */
export interface Drawn {
  readonly title: string;
  readonly type: string;
  readonly unit: string;
  readonly at: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly lines: readonly Line[];
}

const column = 50;
const row = 34;
const colours = ['#1971c2', '#e8590c', '#2f9e44', '#9c36b5', '#c2255c', '#0c8599', '#846358'];

/** The panels of a dashboard as SVG, laid out as Grafana does. */
export function drawBoard(title: string, panels: readonly Drawn[]): string {
  const height = Math.max(...panels.map(({ at }) => at.y + at.h)) * row + 60;
  const width = 24 * column + 20;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#212529">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#f1f3f5"/>`,
    `<text x="14" y="32" font-size="18" font-weight="bold">${escaped(title)}</text>`,
    ...panels.flatMap(panelLines),
    '</svg>',
    '',
  ].join('\n');
}

function panelLines(panel: Drawn): readonly string[] {
  const { at, title, type, lines } = panel;
  const box = { x: 10 + at.x * column, y: 48 + at.y * row, w: at.w * column, h: at.h * row };
  const draw = type === 'timeseries' ? graph : type === 'table' ? table : numbers;
  const content =
    lines.length === 0 ? ['<text x="12" y="44" fill="#868e96">no data</text>'] : draw(panel, box);
  return [
    `<g transform="translate(${box.x + 3},${box.y + 3})">`,
    `<rect width="${box.w - 6}" height="${box.h - 6}" rx="3" fill="#ffffff" stroke="#ced4da"/>`,
    `<text x="12" y="20" font-weight="bold">${escaped(title)}</text>`,
    ...content,
    '</g>',
  ];
}

interface Box {
  readonly w: number;
  readonly h: number;
}

const last = ({ points }: Line): number => points.at(-1)?.[1] ?? 0;

const numbers = ({ lines, unit }: Drawn, { w, h }: Box): readonly string[] =>
  lines
    .slice(0, 2)
    .map(
      (line, n) =>
        `<text x="${w / 2}" y="${h / 2 + 18 + n * 30}" font-size="26" text-anchor="middle" fill="#2b8a3e">${escaped(shown(last(line), unit))}</text>`,
    );

const table = ({ lines, unit }: Drawn, { h }: Box): readonly string[] =>
  lines
    .slice(0, Math.floor((h - 40) / 20))
    .map(
      (line, n) =>
        `<text x="12" y="${46 + n * 20}">${escaped(`${line.name}   ${shown(last(line), unit)}`)}</text>`,
    );

function graph({ lines, unit }: Drawn, { w, h }: Box): readonly string[] {
  const area = { left: 78, top: 34, width: w - 100, height: h - 92 };
  const all = lines.flatMap(({ points }) => points);
  const times = all.map(([seconds]) => seconds);
  const [start, end] = [Math.min(...times), Math.max(...times)];
  const top = Math.max(...all.map(([, value]) => value)) * 1.1 || 1;
  const x = (seconds: number) => area.left + ((seconds - start) / (end - start || 1)) * area.width;
  const y = (value: number) => area.top + area.height * (1 - value / top);
  const grid = [0, 0.5, 1].flatMap((part) => [
    `<line x1="${area.left}" x2="${area.left + area.width}" y1="${y(top * part)}" y2="${y(top * part)}" stroke="#e9ecef"/>`,
    `<text x="${area.left - 6}" y="${y(top * part) + 4}" text-anchor="end" font-size="10" fill="#495057">${escaped(shown(top * part, unit))}</text>`,
  ]);
  const drawn = lines.map(({ points }, n) => {
    const path = points.map(([s, value]) => `${x(s).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    return `<polyline points="${path}" fill="none" stroke="${colourOf(n)}" stroke-width="1.5"/>`;
  });
  return [...grid, ...drawn, ...legend(lines, { w, h })];
}

const colourOf = (n: number): string => colours[n % colours.length] ?? '#000000';

/** As many names as fit into two rows. */
function legend(lines: readonly Line[], { w, h }: Box): readonly string[] {
  let [x, y] = [12, h - 36];
  const shownLines: string[] = [];
  for (const [n, { name }] of lines.entries()) {
    const width = 22 + name.length * 6.2;
    if (x + width > w - 12) [x, y] = [12, y + 16];
    if (y > h - 12) break;
    shownLines.push(
      `<rect x="${x}" y="${y - 8}" width="10" height="4" fill="${colourOf(n)}"/>`,
      `<text x="${x + 14}" y="${y}" font-size="11" fill="#495057">${escaped(name)}</text>`,
    );
    x += width;
  }
  return shownLines;
}

/** A value with its unit, as Grafana shows it. */
function shown(value: number, unit: string): string {
  if (unit === 'bytes' || unit === 'Bps')
    return `${roundBytes(BigInt(Math.round(value)))}${unit === 'Bps' ? '/s' : ''}`;
  if (unit === 'percentunit') return `${rounded(value * 100)}%`;
  if (unit === 's') return duration(value);
  return `${rounded(value)}${unit === 'short' ? '' : '/s'}`;
}

function duration(seconds: number): string {
  if (seconds >= 2 * 86_400) return `${rounded(seconds / 86_400)} d`;
  if (seconds >= 7_200) return `${rounded(seconds / 3_600)} h`;
  return seconds < 1 ? `${rounded(seconds * 1000)} ms` : `${rounded(seconds)} s`;
}

const rounded = (value: number): string => Number(value.toPrecision(3)).toLocaleString('en-US');

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
