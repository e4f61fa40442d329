import { describe, expect, test } from 'vitest';
import { showProgress } from '../../../../src/cli/command/progress.ts';

const mib = 1024 ** 2;

/** A display whose time a test moves. */
function display({ columns }: { columns?: number } = {}) {
  let nowMs = 0;
  const written: string[] = [];
  const write = (text: string) => {
    written.push(text);
  };
  const bar = columns === undefined ? {} : { bar: { write, columns: () => columns } };
  const shown = showProgress('importing debian', { err: write, ...bar }, { now: () => nowMs });
  const at = (ms: number, bytes: number, of?: number) => {
    nowMs = ms;
    shown.progress(bytes, of);
  };
  return { at, shown, written };
}

describe('without a terminal', () => {
  test('one line in ten seconds, with speed and time left', () => {
    const { at, written, shown } = display();
    for (let second = 1; second <= 30; second += 1) at(second * 1000, second * mib, 100 * mib);
    shown[Symbol.dispose]();
    expect(written).toEqual([
      'importing debian: 10 MiB of 100 MiB, 10 %, 1 MiB/s, 90 s left',
      'importing debian: 20 MiB of 100 MiB, 20 %, 1 MiB/s, 80 s left',
      'importing debian: 30 MiB of 100 MiB, 30 %, 1 MiB/s, 70 s left',
    ]);
  });

  test('no percentage where the whole is unknown, and none above 100', () => {
    const { at, written } = display();
    at(10_000, 10 * mib, 0);
    at(20_000, 20 * mib, 10 * mib);
    expect(written).toEqual([
      'importing debian: 10 MiB, 1 MiB/s',
      'importing debian: 20 MiB of 10 MiB, 100 %, 1 MiB/s, 0 s left',
    ]);
  });

  test('short work writes nothing', () => {
    const { at, written } = display();
    at(9_999, mib, mib);
    expect(written).toEqual([]);
  });
});

describe('on a terminal', () => {
  test('a bar in its place, at most five times a second, and nothing of it is left', () => {
    const { at, written, shown } = display({ columns: 200 });
    for (let ms = 0; ms < 1000; ms += 50) at(ms, ms * 1024, 1024 ** 2);
    expect(written).toHaveLength(5);
    expect(written[0]).toBe(`\r\u001b[Kimporting debian [${' '.repeat(20)}] 0 of 1 MiB, 0 %`);
    expect(written[4]).toMatch(/\[#{16} {4}\] 800 KiB of 1 MiB, 78 %, 1 MiB\/s, 1 s left$/);
    shown[Symbol.dispose]();
    shown[Symbol.dispose]();
    expect(written.slice(5)).toEqual(['\r\u001b[K']);
  });

  test('never wider than the terminal, of which a size of 0 means that it is unknown', () => {
    for (const [columns, width] of [
      [0, 60],
      [1, 0],
      [30, 29],
    ] as const) {
      const { at, written } = display({ columns });
      at(0, mib, 2 * mib);
      expect(written.map((text) => text.replace('\r\u001b[K', '').length)).toEqual([width]);
    }
  });

  test('a second part of the work counts from its own start', () => {
    const { at, written } = display({ columns: 200 });
    at(0, 0, 10 * mib);
    at(10_000, 10 * mib, 10 * mib);
    at(20_000, mib, 5 * mib);
    at(22_000, 3 * mib, 5 * mib);
    expect(written.at(-1)).toMatch(/3 MiB of 5 MiB, 60 %, 1 MiB\/s, 2 s left$/);
  });
});
