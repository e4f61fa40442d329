import { z } from 'zod';
import type { Segments, TopologyRequirement } from '../../../model/topology.ts';
import { anyMap } from './fields.ts';

// Without a bound or a form of their own: where topology is off they are ignored, whatever they are, and
// where it is on, a key or value that we never reported matches nothing.
const place = z.object({ segments: anyMap }).transform(({ segments }): Segments => segments);

/** The place that a request is about. */
export const optionalPlace = place.nullish().transform((found) => found ?? undefined);

/** From where a volume must be within reach. */
export const requirement = z
  .object({ requisite: z.array(place), preferred: z.array(place) })
  .nullish()
  .transform((found): TopologyRequirement | undefined => found ?? undefined);
