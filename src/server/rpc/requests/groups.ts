import { z } from 'zod';
import { objectId, objectName, textMap } from './fields.ts';

/** Volumes to take a snapshot of at one moment. A list that names one twice is a mistake of its sender. */
export const createVolumeGroupSnapshot = z
  .object({
    name: objectName,
    source_volume_ids: z
      .array(objectId)
      .min(1, { error: 'must name at least one volume' })
      .refine((ids) => new Set(ids).size === ids.length, {
        error: 'must not name a volume twice',
      }),
    parameters: textMap,
    secrets: textMap,
  })
  .transform((wire) => ({
    name: wire.name,
    sourceVolumeIds: wire.source_volume_ids,
    parameters: wire.parameters,
  }));

/**
 * A group to delete or to show. The list of its snapshots is compared once the group is found: an unknown group
 * is reported as unknown, whatever the list says.
 */
export const groupSnapshot = z
  .object({ group_snapshot_id: objectId, snapshot_ids: z.array(objectId), secrets: textMap })
  .transform((wire) => ({ id: wire.group_snapshot_id, snapshotIds: wire.snapshot_ids }));
