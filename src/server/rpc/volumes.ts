import type { VolumeSpec } from '../../model/volume.ts';
import type { Services } from '../../service/api.ts';
import type {
  ControllerExpandVolumeResponse,
  ControllerHandlers,
  ControllerModifyVolumeResponse,
  DeleteVolumeResponse,
  GetCapacityResponse,
} from '../../wire/types.ts';
import type { LockKey } from '../call/locks.ts';
import {
  controllerGetVolumeResponse,
  createVolumeResponse,
  listVolumesResponse,
  validateResponse,
} from './replies.ts';
import type { Unary } from '../call/unary.ts';
import * as requests from './requests/controller.ts';

const createLocks = ({ name, source }: VolumeSpec): readonly LockKey[] => [
  { on: 'volume-name', id: name },
  // Several calls may copy from one source at once; only changes of the source must wait.
  ...(source ? [{ on: source.kind, id: source.id, shared: true }] : []),
];

const byId = ({ volume_id }: { readonly volume_id: string }): readonly LockKey[] => [
  { on: 'volume', id: volume_id },
];

/** Create, delete, modify, expand and show volumes. */
export const volumeHandlers = (unary: Unary, services: Services) => ({
  ...changes(unary, services),
  ...queries(unary, services),
});

const changes = (unary: Unary, { volumes }: Services) =>
  ({
    CreateVolume: unary({
      name: 'CreateVolume',
      request: requests.createVolume,
      locks: createLocks,
      handle: async (spec) => createVolumeResponse(await volumes.create(spec)),
    }),
    DeleteVolume: unary({
      name: 'DeleteVolume',
      request: requests.deleteVolume,
      locks: byId,
      handle: async ({ volume_id }): Promise<DeleteVolumeResponse> => {
        await volumes.remove(volume_id);
        return {};
      },
    }),
    ControllerModifyVolume: unary({
      name: 'ControllerModifyVolume',
      request: requests.controllerModifyVolume,
      locks: ({ volume_id }) => [{ on: 'volume-attributes', id: volume_id }],
      handle: async (wire): Promise<ControllerModifyVolumeResponse> => {
        await volumes.modify(wire.volume_id, wire.mutable_parameters);
        return {};
      },
    }),
    ControllerExpandVolume: unary({
      name: 'ControllerExpandVolume',
      request: requests.controllerExpandVolume,
      locks: byId,
      handle: async (wire): Promise<ControllerExpandVolumeResponse> => ({
        capacity_bytes: String(
          await volumes.expand(wire.volume_id, wire.capacity_range, wire.volume_capability),
        ),
        // For raw block too: the node must make the loop device take its new size.
        node_expansion_required: true,
      }),
    }),
  }) satisfies Partial<ControllerHandlers>;

const queries = (unary: Unary, { volumes, capacity }: Services) =>
  ({
    ControllerGetVolume: unary({
      name: 'ControllerGetVolume',
      request: requests.controllerGetVolume,
      quiet: true,
      handle: async ({ volume_id }) => controllerGetVolumeResponse(await volumes.get(volume_id)),
    }),
    ListVolumes: unary({
      name: 'ListVolumes',
      request: requests.listVolumes,
      quiet: true,
      shared: true,
      handle: async (page) => listVolumesResponse(await volumes.list(page)),
    }),
    ValidateVolumeCapabilities: unary({
      name: 'ValidateVolumeCapabilities',
      request: requests.validateVolumeCapabilities,
      handle: async ({ id, ask }) => validateResponse(ask, await volumes.validate(id, ask)),
    }),
    GetCapacity: unary({
      name: 'GetCapacity',
      request: requests.getCapacity,
      quiet: true,
      shared: true,
      handle: async (ask): Promise<GetCapacityResponse> => {
        const { available, maximum, minimum } = await capacity.capacity(ask);
        return {
          available_capacity: String(available),
          maximum_volume_size: maximum === undefined ? null : { value: String(maximum) },
          minimum_volume_size: { value: String(minimum) },
        };
      },
    }),
  }) satisfies Partial<ControllerHandlers>;
