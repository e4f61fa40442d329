import { roundBytes } from '../../model/bytes.ts';
import type { Clock } from '../../run/clock.ts';
import type { Progress } from '../../run/streams.ts';
import type { Terminal } from './subcommand.ts';

/** What a long command shows of its work, until it is disposed of: then nothing of a bar is left on the terminal. */
export interface Shown extends Disposable {
  readonly progress: Progress;
}

/** A bar is drawn again after this time, and a line is written after that. */
const barMs = 200;
const lineMs = 10_000;

const barWidth = 20;

/** The width of a terminal that does not know its own, as one without a window. */
const usualColumns = 80;

const clearLine = '\r\u001b[K';

/**
 * Shows work of many bytes on standard error: a bar that is drawn in its place on a terminal, else a line every ten
 * seconds, with speed and, where the whole is known, the time that is left. `what` names the work: `importing debian`.
 */
export function showProgress(
  what: string,
  { err, bar }: Pick<Terminal, 'err' | 'bar'>,
  clock: Pick<Clock, 'now'>,
): Shown {
  let begun = { atMs: clock.now(), bytes: 0 };
  let before = 0;
  let shownMs = bar ? -Infinity : clock.now();
  let isDrawn = false;
  const progress: Progress = (bytes, of) => {
    const nowMs = clock.now();
    // The next part of the work counts from its own start.
    if (bytes < before) begun = { atMs: nowMs, bytes };
    before = bytes;
    if (nowMs - shownMs < (bar ? barMs : lineMs)) return;
    shownMs = nowMs;
    const speed = speedOf(bytes - begun.bytes, nowMs - begun.atMs);
    const state = { what, bytes, of: of !== undefined && of > 0 ? of : undefined, speed };
    if (!bar) {
      err(lineOf(state));
      return;
    }
    bar.write(`${clearLine}${barOf(state, (bar.columns() || usualColumns) - 1)}`);
    isDrawn = true;
  };
  return {
    progress,
    [Symbol.dispose]: () => {
      if (isDrawn) bar?.write(clearLine);
      isDrawn = false;
    },
  };
}

interface State {
  readonly what: string;
  readonly bytes: number;
  readonly of: number | undefined;
  /** Bytes in a second; undefined until it can be known. */
  readonly speed: number | undefined;
}

const speedOf = (bytes: number, ms: number): number | undefined =>
  ms < 500 || bytes <= 0 ? undefined : (bytes * 1000) / ms;

/** `importing debian: 1.2 GiB of 3 GiB, 40 %, 210 MiB/s, 8 s left`. */
const lineOf = ({ what, ...state }: State): string => `${what}: ${wordsOf(state)}`;

/**
 * `importing debian [########            ] 1.2 GiB of 3 GiB, 40 %, 210 MiB/s, 8 s left`, at most so many columns wide:
 * the bar gives way to the words.
 */
function barOf({ what, ...state }: State, columns: number): string {
  const { bytes, of } = state;
  const words = wordsOf(state);
  const width = Math.min(barWidth, columns - what.length - words.length - ' [] '.length);
  if (of === undefined || width < 1) return `${what} ${words}`.slice(0, columns);
  const full = Math.round(Math.min(1, bytes / of) * width);
  return `${what} [${'#'.repeat(full).padEnd(width)}] ${words}`;
}

function wordsOf({ bytes, of, speed }: Omit<State, 'what'>): string {
  const rate = speed === undefined ? [] : [`${rounded(speed)}/s`];
  if (of === undefined) return [rounded(bytes), ...rate].join(', ');
  const percent = `${Math.min(100, Math.floor((bytes / of) * 100))} %`;
  const left = speed === undefined ? [] : [`${durationOf((of - bytes) / speed)} left`];
  return [`${rounded(bytes)} of ${rounded(of)}`, percent, ...rate, ...left].join(', ');
}

const rounded = (bytes: number): string => roundBytes(BigInt(Math.round(bytes)));

/** `8 s`, `5 min`, `3 h`. */
function durationOf(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 120) return `${whole} s`;
  return whole < 7200 ? `${Math.round(whole / 60)} min` : `${Math.round(whole / 3600)} h`;
}
