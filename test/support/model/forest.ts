import { GiB } from '../../../src/model/bytes.ts';
import { growForest, type ForestNode } from '../../../src/model/forest/forest.ts';
import { forestText } from '../../../src/model/forest/text.ts';
import { rowsOf, type ViewOptions } from '../../../src/model/forest/view.ts';

/** Noon of the day on which the pictures are drawn. */
const noon = Date.UTC(2026, 0, 5, 12);

/** A volume; by default of 10 GiB and made three days ago. */
export const file = (as: Partial<ForestNode>): ForestNode => ({
  key: 'f.1-a',
  parent: null,
  kind: 'volume',
  id: undefined,
  bytes: 10n * GiB,
  held: 0n,
  attachedTo: [],
  createdMs: noon - 3 * 86_400_000,
  leaving: false,
  name: as.key ?? 'f',
  ...as,
});

/** The picture of these files. */
export const drawn = (
  files: readonly ForestNode[],
  options: Partial<ViewOptions> & { readonly color?: boolean } = {},
): string =>
  [
    ...forestText([...rowsOf(growForest(files), { collapse: true, ...options })], {
      nowMs: noon,
      color: options.color ?? false,
    }),
  ].join('\n');
