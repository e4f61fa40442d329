import { dirname, resolve } from 'node:path';
import { readDescription, type Description } from '../state/layout.ts';

/** A simulator as programs that stand on it see it. */
export interface Simulator extends Description {
  /** The type of the mount that stands for GPFS. */
  readonly mountType: 'xfs';
}

/** The simulator whose executables are in this directory, or undefined when they are real ones. */
export function findSimulator(mmDirectory: string): Simulator | undefined {
  const bin = resolve(mmDirectory);
  const found = readDescription(dirname(bin));
  return found?.bin === bin ? { ...found, mountType: 'xfs' } : undefined;
}
