import { z } from 'zod';
import type { PublishAsk, StageAsk } from '../../../service/api.ts';
import { optionalCapability, capability } from './capability.ts';
import { absolutePath, givenPath, objectId, optionalPath, textMap } from './fields.ts';
import { optionalRange } from './ranges.ts';

const stageFields = {
  volume_id: objectId,
  volume_capability: capability,
  publish_context: textMap,
  volume_context: textMap,
  secrets: textMap,
};

/** A volume to stage on this node. */
export const nodeStageVolume = z
  .object({ ...stageFields, staging_target_path: absolutePath })
  .transform((wire): StageAsk => ({
    id: wire.volume_id,
    stagingPath: wire.staging_target_path,
    capability: wire.volume_capability,
    publishContext: wire.publish_context,
    volumeContext: wire.volume_context,
  }));

/** A volume to unstage from this node. */
export const nodeUnstageVolume = z.object({
  volume_id: objectId,
  staging_target_path: absolutePath,
});

/** A staged volume to publish to a pod. CSI wants FAILED_PRECONDITION without a staging path, so it may be absent here. */
export const nodePublishVolume = z
  .object({
    ...stageFields,
    staging_target_path: optionalPath,
    target_path: absolutePath,
    readonly: z.boolean(),
  })
  .transform((wire): PublishAsk => ({
    id: wire.volume_id,
    stagingPath: wire.staging_target_path,
    targetPath: wire.target_path,
    readonly: wire.readonly,
    capability: wire.volume_capability,
    publishContext: wire.publish_context,
    volumeContext: wire.volume_context,
  }));

/** A volume to unpublish from a pod. */
export const nodeUnpublishVolume = z.object({ volume_id: objectId, target_path: absolutePath });

/** A question how full a volume is. A relative path is decoded too: it is answered as not found. */
export const nodeGetVolumeStats = z.object({ volume_id: objectId, volume_path: givenPath });

/** A volume that has grown, whose file system must grow too. */
export const nodeExpandVolume = z.object({
  volume_id: objectId,
  volume_path: givenPath,
  capacity_range: optionalRange,
  volume_capability: optionalCapability,
  secrets: textMap,
});

/** For requests without fields. */
export const empty = z.object({});
