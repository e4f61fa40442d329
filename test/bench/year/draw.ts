import type { Year } from './play.ts';

const width = 720;
const height = 230;
const left = 60;
const right = 130;
const colours = ['#0b7285', '#e8590c', '#868e96'];

/** Depth and space over the nights, one line a policy, as SVG. */
export const drawYears = (
  years: readonly { readonly name: string; readonly year: Year }[],
): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${2 * height + 20}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    panel(
      0,
      'clone parents above the volume',
      years.map(({ name, year }) => ({ name, values: year.depth })),
    ),
    panel(
      height,
      'space held, in volumes',
      years.map(({ name, year }) => ({ name, values: year.space })),
    ),
    '</svg>',
    '',
  ].join('\n');

interface Line {
  readonly name: string;
  readonly values: readonly number[];
}

function panel(top: number, title: string, lines: readonly Line[]): string {
  const most = Math.max(...lines.flatMap(({ values }) => values));
  const y = (value: number): number => top + height - 30 - (value / most) * (height - 70);
  const x = (night: number, of: number): number =>
    left + (night / (of - 1)) * (width - left - right);
  const ticks = [0, 0.5, 1].map((part) => {
    const value = part * most;
    return `<line x1="${left}" x2="${width - right}" y1="${y(value)}" y2="${y(value)}" stroke="#dee2e6"/><text x="${left - 8}" y="${y(value) + 4}" text-anchor="end">${value >= 10 ? Math.round(value) : value.toFixed(1)}</text>`;
  });
  const drawn = lines.map(({ values }, n) => {
    const points = values.map(
      (value, night) => `${x(night, values.length).toFixed(1)},${y(value).toFixed(1)}`,
    );
    return `<polyline fill="none" stroke="${colours[n] ?? '#000'}" stroke-width="1.6" points="${points.join(' ')}"/>`;
  });
  return [
    `<text x="${left}" y="${top + 24}" font-weight="bold">${title}, over 365 nights</text>`,
    ...ticks,
    ...drawn,
    ...labels(lines, y),
  ].join('\n');
}

/** Names beside the ends of the lines, never one over another. */
function labels(lines: readonly Line[], y: (value: number) => number): readonly string[] {
  const ends = lines
    .map(({ name, values }, n) => ({ name, n, at: y(values.at(-1) ?? 0) }))
    .sort((a, b) => a.at - b.at);
  let last = -Infinity;
  return ends.map(({ name, n, at }) => {
    last = Math.max(at, last + 15);
    return `<text x="${width - right + 8}" y="${last + 4}" fill="${colours[n] ?? '#000'}">${name}</text>`;
  });
}
