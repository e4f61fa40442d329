import { expect } from 'vitest';
import type { When } from '../../../src/simulator/core/faults.ts';
import { testRoot } from './driver.ts';
import { newWorld, quiet, type Scenario, type World } from './world.ts';
import { contents, expectSound } from './truth.ts';

/** The calls that server a1 makes for a request, numbered from 1. */
export interface Calls {
  readonly count: number;
  /** Those that may change something. */
  readonly changing: readonly number[];
  /** Those before which sleeping makes a difference. */
  readonly sleeps: readonly number[];
}

/** Hears of every call, as the simulator's `schedule` does. */
export type Hear = (label: string) => Promise<void>;

// Nothing in a story changes root.json: a server that sleeps before it looks there sees the same as before it slept,
// and goes on to the call that it looks for. So it may as well sleep before that one.
const check = `files.stat ${testRoot}/.gpfs-csi/root.json`;

/** Counts the calls of a request in a world of its own. */
export async function callsIn<W extends Pick<World, 'gpfs'>>(
  build: (hear: Hear) => Promise<W>,
  act: (world: W) => Promise<unknown>,
): Promise<Calls> {
  const labels: string[] = [];
  const world = await build((label) => {
    if (label.startsWith('a1: ')) labels.push(label.slice(4));
    return Promise.resolve();
  });
  const { gpfs } = world;
  await quiet(gpfs);
  const before = gpfs.calls;
  await act(world);
  await quiet(gpfs);
  const count = gpfs.calls - before;
  return {
    count,
    changing: gpfs.changing.map((n) => n - before).filter((n) => n > 0),
    sleeps: upTo(count).filter((n) => labels[before + n - 1] !== check),
  };
}

/** Counts the calls of the operation of a scenario, which must succeed. */
export const callsOf = ({ prepare, act, answer, after }: Scenario): Promise<Calls> =>
  callsIn(
    async (hear) => {
      const world = await newWorld({}, hear);
      await prepare(world);
      return world;
    },
    async (world) => {
      expect(await act(world.driver, world)).toBe(answer);
      await quiet(world.gpfs);
      expectSound(world.gpfs);
      expect(contents(world.gpfs)).toEqual(after);
    },
  );

/** Where a server can crash: what it leaves is what the last call that changed something left. */
export const crashes = (changing: readonly number[]): readonly (readonly [number, When])[] => [
  [1, 'before'],
  ...changing.map((n) => [n, 'after'] as const),
];

/** The numbers from 1 to this one. */
export const upTo = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, at) => at + 1);
