import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../run/clock.ts';

/** Time that passes only when somebody sleeps or a test says so. */
export interface VirtualClock extends Clock {
  tick(ms: number): void;
}

/** Starts at the same moment in every run. */
export function virtualClock(startMs: number): VirtualClock {
  let nowMs = startMs;
  const tick = (ms: number): void => {
    nowMs += ms;
  };
  return {
    now: () => nowMs,
    tick,
    // A loop that sleeps for ever must not starve everybody else.
    sleep: async (ms) => {
      await setImmediate();
      tick(ms);
    },
  };
}
