import type { Bytes } from '../bytes.ts';
import { flawOf, growForest, type Planted } from './forest.ts';

/** What the records of a forest show to be wrong, without a question to GPFS; `gpfs-csi doctor` sees more. */
export const flawKinds = ['missing file', 'unknown parent', 'cycle'] as const;

/** What a count needs of a data file to find its flaws. */
export interface Flawable extends Planted {
  /** Bytes of its own blocks; undefined when the file is not there. */
  readonly held: Bytes | undefined;
  /** Its deletion has begun. */
  readonly leaving: boolean;
}

/** Each flaw as `KIND KEY`; files on their way out have none. */
export function flawsOf(files: readonly Flawable[]): ReadonlySet<string> {
  const forest = growForest(files);
  const missing = files.filter(({ held, leaving }) => held === undefined && !leaving);
  const wrong = forest.tops.flatMap((top) => {
    const flaw = flawOf(forest, top);
    if (flaw === undefined || top.leaving) return [];
    return [`${flaw === 'circle' ? 'cycle' : flaw} ${top.key}`];
  });
  return new Set([...missing.map(({ key }) => `missing file ${key}`), ...wrong]);
}
