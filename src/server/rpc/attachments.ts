import type { Services } from '../../service/api.ts';
import type {
  ControllerHandlers,
  ControllerPublishVolumeResponse,
  ControllerUnpublishVolumeResponse,
} from '../../wire/types.ts';
import type { LockKey } from '../call/locks.ts';
import type { Unary } from '../call/unary.ts';
import * as requests from './requests/controller.ts';

const byId = ({ volume_id }: { readonly volume_id: string }): readonly LockKey[] => [
  { on: 'volume', id: volume_id },
];

/** Attach volumes to nodes and detach them. */
export const attachmentHandlers = (unary: Unary, { attachments }: Services) =>
  ({
    ControllerPublishVolume: unary({
      name: 'ControllerPublishVolume',
      request: requests.controllerPublishVolume,
      locks: byId,
      handle: async (wire): Promise<ControllerPublishVolumeResponse> => ({
        publish_context: await attachments.publish({
          id: wire.volume_id,
          node: wire.node_id,
          capability: wire.volume_capability,
          readonly: wire.readonly,
          context: wire.volume_context,
        }),
      }),
    }),
    ControllerUnpublishVolume: unary({
      name: 'ControllerUnpublishVolume',
      request: requests.controllerUnpublishVolume,
      locks: byId,
      handle: async ({ volume_id, node_id }): Promise<ControllerUnpublishVolumeResponse> => {
        await attachments.unpublish(volume_id, node_id);
        return {};
      },
    }),
  }) satisfies Partial<ControllerHandlers>;
