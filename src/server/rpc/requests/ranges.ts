import { z } from 'zod';
import type { CapacityRange, ContentSource, Page } from '../../../model/volume.ts';
import { int64, objectId } from './fields.ts';

const size = int64.refine((bytes) => bytes >= 0n, { error: 'must not be negative' });

const wireRange = z
  .object({ required_bytes: size, limit_bytes: size }, { error: 'must be given' })
  .refine((range) => range.required_bytes !== 0n || range.limit_bytes !== 0n, {
    error: 'must hold required_bytes or limit_bytes',
  })
  .refine((range) => range.limit_bytes === 0n || range.required_bytes <= range.limit_bytes, {
    path: ['required_bytes'],
    error: 'must not be larger than limit_bytes',
  });

/** A range that must be present, and must not be empty. */
export const requiredRange = wireRange.transform((range): CapacityRange => ({
  requiredBytes: range.required_bytes,
  limitBytes: range.limit_bytes,
}));

/** A range that may be absent, but must not be empty. */
export const optionalRange = requiredRange
  .nullish()
  .transform((range): CapacityRange | undefined => range ?? undefined);

const wireSource = z.discriminatedUnion(
  'type',
  [
    z.object({ type: z.literal('snapshot'), snapshot: z.object({ snapshot_id: objectId }) }),
    z.object({ type: z.literal('volume'), volume: z.object({ volume_id: objectId }) }),
  ],
  { error: 'must say snapshot or volume' },
);

/** Where the content of a new volume comes from, if from anywhere. */
export const contentSource = wireSource.nullish().transform((source): ContentSource | undefined => {
  if (!source) return undefined;
  return source.type === 'snapshot'
    ? { kind: 'snapshot', id: source.snapshot.snapshot_id }
    : { kind: 'volume', id: source.volume.volume_id };
});

/** The two fields that every list request has; the service checks the token. */
export const pageFields = {
  max_entries: z.int().min(0, { error: 'must not be negative' }),
  starting_token: z.string(),
};

/** What a list request says about its page. */
export const pageOf = (request: {
  readonly max_entries: number;
  readonly starting_token: string;
}): Page => ({ max: request.max_entries, token: request.starting_token });
