import { dirname, resolve } from 'node:path';
import { readDescription, type Description } from '../state/layout.ts';

/** A simulator, described for the programs that use it. */
export interface Simulator extends Description {
  /** The type of its mount, which is "gpfs" on a real GPFS. */
  readonly mountType: 'xfs';
}

/** The simulator whose executables are in this directory, or undefined when it holds no simulated commands. */
export function findSimulator(mmDirectory: string): Simulator | undefined {
  const bin = resolve(mmDirectory);
  const found = readDescription(dirname(bin));
  return found?.bin === bin ? { ...found, mountType: 'xfs' } : undefined;
}
