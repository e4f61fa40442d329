import { z } from 'zod';
import { claim } from './claim.ts';
import { format, key } from './data.ts';

/** The name of a data file that no command may make any more, and the claim under which one still could try. */
export const barredFile = z.looseObject({
  format,
  key,
  data: z.enum(['volumes', 'snapshots', 'hidden']),
  /** The clone parent that the file would have read through, as far as the records know. */
  above: key.nullable(),
  claim,
});
export type BarredFile = z.output<typeof barredFile>;
