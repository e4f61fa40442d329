import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../run/clock.ts';

/** Time that passes only when a program sleeps or a test calls `tick`. */
export interface VirtualClock extends Clock {
  tick(ms: number): void;
}

/** A clock that shows the same moment at the start of every run. */
export function virtualClock(startMs: number): VirtualClock {
  let nowMs = startMs;
  const tick = (ms: number): void => {
    nowMs += ms;
  };
  return {
    now: () => nowMs,
    tick,
    // A loop that only sleeps must still let other work run.
    sleep: async (ms) => {
      await setImmediate();
      tick(ms);
    },
  };
}
