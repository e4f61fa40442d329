import { defaultRule } from '../../model/compaction.ts';
import type { CompactionOptions } from '../host.ts';

/** Compaction as it is unless the configuration says otherwise. */
export const defaultCompaction: CompactionOptions = {
  rule: defaultRule,
  paused: false,
  attached: 'never',
  perFileSystem: 1,
  atOnce: 2,
  maxDepth: 500,
};
