import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** Time, as the driver needs it; the simulator has a clock of its own. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Resolves after this many milliseconds; never keeps the process alive. */
  sleep(ms: number): Promise<void>;
}

/** Eight hex digits that were not used before, as far as chance goes: what makes a file name used once. */
export type Nonce = () => string;

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms) => sleep(ms, undefined, { ref: false }),
};

export const randomNonce: Nonce = () => randomBytes(4).toString('hex');
