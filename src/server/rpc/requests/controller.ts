import { z } from 'zod';
import type { VolumeSpec } from '../../../model/volume.ts';
import type { ValidateAsk } from '../../../service/api.ts';
import { anyCapabilities, optionalCapability, capability, someCapabilities } from './capability.ts';
import { given, longestNodeId, objectId, objectName, text, textMap } from './fields.ts';
import { optionalPlace, requirement } from './topology.ts';
import { contentSource, optionalRange, pageFields, pageOf, requiredRange } from './ranges.ts';

/** A volume to create. */
export const createVolume = z
  .object({
    name: objectName,
    capacity_range: optionalRange,
    volume_capabilities: someCapabilities,
    parameters: textMap,
    volume_content_source: contentSource,
    mutable_parameters: textMap,
    secrets: textMap,
    accessibility_requirements: requirement,
  })
  .transform((wire): VolumeSpec => ({
    name: wire.name,
    range: wire.capacity_range,
    capabilities: wire.volume_capabilities,
    parameters: new Map([...wire.parameters, ...wire.mutable_parameters]),
    mutable: wire.mutable_parameters,
    source: wire.volume_content_source,
    requirement: wire.accessibility_requirements,
  }));

/** A volume to delete. */
export const deleteVolume = z.object({ volume_id: objectId, secrets: textMap });

/** A volume to attach to a node. */
export const controllerPublishVolume = z.object({
  volume_id: objectId,
  node_id: given(longestNodeId),
  volume_capability: capability,
  readonly: z.boolean(),
  volume_context: textMap,
  secrets: textMap,
});

/** A volume to detach from a node, or from all. */
export const controllerUnpublishVolume = z.object({
  volume_id: objectId,
  // Empty: from every node.
  node_id: text(longestNodeId),
  secrets: textMap,
});

/** A question whether a volume can be used in certain ways. */
export const validateVolumeCapabilities = z
  .object({
    volume_id: objectId,
    volume_capabilities: someCapabilities,
    volume_context: textMap,
    parameters: textMap,
    mutable_parameters: textMap,
    secrets: textMap,
  })
  .transform((wire): { readonly id: string; readonly ask: ValidateAsk } => ({
    id: wire.volume_id,
    ask: {
      capabilities: wire.volume_capabilities,
      context: wire.volume_context,
      parameters: wire.parameters,
      mutable: wire.mutable_parameters,
    },
  }));

/** Attributes of a volume to change. */
export const controllerModifyVolume = z.object({
  volume_id: objectId,
  mutable_parameters: textMap.refine((map) => map.size > 0, { error: 'must be given' }),
  secrets: textMap,
});

/** A page of the volumes. */
export const listVolumes = z.object(pageFields).transform(pageOf);

/** A question for free space. */
export const getCapacity = z
  .object({
    volume_capabilities: anyCapabilities,
    parameters: textMap,
    accessible_topology: optionalPlace,
  })
  .transform((wire) => ({
    capabilities: wire.volume_capabilities,
    parameters: wire.parameters,
    place: wire.accessible_topology,
  }));

/** A snapshot to take. */
export const createSnapshot = z
  .object({ source_volume_id: objectId, name: objectName, parameters: textMap, secrets: textMap })
  .transform((wire) => ({
    name: wire.name,
    sourceVolumeId: wire.source_volume_id,
    parameters: wire.parameters,
  }));

/** A snapshot to delete. */
export const deleteSnapshot = z.object({ snapshot_id: objectId, secrets: textMap });

/** A page of the snapshots, perhaps of one volume or one of them. */
export const listSnapshots = z
  .object({ ...pageFields, source_volume_id: text(), snapshot_id: text(), secrets: textMap })
  .transform((wire) => ({
    filter: { id: wire.snapshot_id, sourceVolumeId: wire.source_volume_id },
    page: pageOf(wire),
  }));

/** A snapshot to show. */
export const getSnapshot = z.object({ snapshot_id: objectId, secrets: textMap });

/** A volume to expand. */
export const controllerExpandVolume = z.object({
  volume_id: objectId,
  capacity_range: requiredRange,
  volume_capability: optionalCapability,
  secrets: textMap,
});

/** A volume to show. */
export const controllerGetVolume = z.object({ volume_id: objectId });
