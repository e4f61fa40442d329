import type { Services } from '../../service/api.ts';
import type { ControllerHandlers, DeleteSnapshotResponse } from '../../wire/types.ts';
import { createSnapshotResponse, listSnapshotsResponse } from './replies.ts';
import type { Unary } from '../call/unary.ts';
import * as requests from './requests/controller.ts';

/** Take, delete and show snapshots. */
export const snapshotHandlers = (unary: Unary, { snapshots }: Services) =>
  ({
    CreateSnapshot: unary({
      name: 'CreateSnapshot',
      request: requests.createSnapshot,
      locks: ({ name, sourceVolumeId }) => [
        { on: 'snapshot-name', id: name },
        { on: 'volume', id: sourceVolumeId },
      ],
      handle: async (ask) => createSnapshotResponse(await snapshots.create(ask)),
    }),
    DeleteSnapshot: unary({
      name: 'DeleteSnapshot',
      request: requests.deleteSnapshot,
      locks: ({ snapshot_id }) => [{ on: 'snapshot', id: snapshot_id }],
      handle: async ({ snapshot_id }): Promise<DeleteSnapshotResponse> => {
        await snapshots.remove(snapshot_id);
        return {};
      },
    }),
    GetSnapshot: unary({
      name: 'GetSnapshot',
      request: requests.getSnapshot,
      quiet: true,
      handle: async ({ snapshot_id }) => createSnapshotResponse(await snapshots.get(snapshot_id)),
    }),
    ListSnapshots: unary({
      name: 'ListSnapshots',
      request: requests.listSnapshots,
      quiet: true,
      shared: true,
      handle: async ({ filter, page }) => listSnapshotsResponse(await snapshots.list(filter, page)),
    }),
  }) satisfies Partial<ControllerHandlers>;
