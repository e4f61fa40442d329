import type { Services } from '../../service/api.ts';
import type {
  DeleteVolumeGroupSnapshotResponse,
  GroupControllerGetCapabilitiesResponse,
  GroupControllerHandlers,
} from '../../wire/types.ts';
import { groupResponse } from './replies.ts';
import { empty } from './requests/node.ts';
import type { Unary } from '../call/unary.ts';
import * as requests from './requests/groups.ts';

/** The GroupController service: group snapshots. */
export const groupHandlers = (unary: Unary, { groups }: Services) =>
  ({
    GroupControllerGetCapabilities: unary({
      name: 'GroupControllerGetCapabilities',
      request: empty,
      quiet: true,
      handle: (): GroupControllerGetCapabilitiesResponse => ({
        capabilities: [{ rpc: { type: 'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT' } }],
      }),
    }),
    CreateVolumeGroupSnapshot: unary({
      name: 'CreateVolumeGroupSnapshot',
      request: requests.createVolumeGroupSnapshot,
      locks: ({ name, sourceVolumeIds }) => [
        { on: 'group-name', id: name },
        ...sourceVolumeIds.map((id) => ({ on: 'volume' as const, id })),
      ],
      handle: async (ask) => groupResponse(await groups.create(ask)),
    }),
    DeleteVolumeGroupSnapshot: unary({
      name: 'DeleteVolumeGroupSnapshot',
      request: requests.groupSnapshot,
      locks: ({ id }) => [{ on: 'group', id }],
      handle: async ({ id, snapshotIds }): Promise<DeleteVolumeGroupSnapshotResponse> => {
        await groups.remove(id, snapshotIds);
        return {};
      },
    }),
    GetVolumeGroupSnapshot: unary({
      name: 'GetVolumeGroupSnapshot',
      request: requests.groupSnapshot,
      quiet: true,
      handle: async ({ id, snapshotIds }) => groupResponse(await groups.get(id, snapshotIds)),
    }),
  }) satisfies GroupControllerHandlers;
