import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** The clock of the driver; the simulator has its own. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Resolves after this many milliseconds; never keeps the process alive. */
  sleep(ms: number): Promise<void>;
}

/** Eight random hex digits, which make a file name unique. */
export type Nonce = () => string;

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms) => sleep(ms, undefined, { ref: false }),
};

export const randomNonce: Nonce = () => randomBytes(4).toString('hex');
