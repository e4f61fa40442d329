import type { Trust } from '../../run/named/named.ts';
import type { OwnFlag } from './root-flags.ts';

/** The flag by which an administrator vouches for the users who own the directories of a path. */
export const trustFlag = {
  takes: 'nothing',
  meaning: 'accept a path whose directories other users than root may change',
} as const satisfies OwnFlag;

/** Whose directories may be on the way to the file of a command. */
export const trustIn = (flags: ReadonlyMap<string, string>): Trust =>
  flags.has('trust-directory') ? 'others-too' : 'only-root';
