import type { Services } from '../../service/api.ts';
import type {
  ControllerGetCapabilitiesResponse,
  ControllerHandlers,
  ControllerPublishVolumeResponse,
  ControllerUnpublishVolumeResponse,
} from '../../wire/types.ts';
import type { LockKey } from '../call/locks.ts';
import { empty } from './requests/node.ts';
import type { Unary } from '../call/unary.ts';
import * as requests from './requests/controller.ts';

const offered = [
  'CREATE_DELETE_VOLUME',
  'PUBLISH_UNPUBLISH_VOLUME',
  'LIST_VOLUMES',
  'GET_CAPACITY',
  'CREATE_DELETE_SNAPSHOT',
  'LIST_SNAPSHOTS',
  'CLONE_VOLUME',
  'PUBLISH_READONLY',
  'EXPAND_VOLUME',
  'LIST_VOLUMES_PUBLISHED_NODES',
  'GET_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
  'GET_SNAPSHOT',
  'MODIFY_VOLUME',
] as const;

const byId = ({ volume_id }: { readonly volume_id: string }): readonly LockKey[] => [
  { on: 'volume', id: volume_id },
];

/** Attach volumes to nodes and detach them; and what the Controller service offers. */
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
    ControllerGetCapabilities: unary({
      name: 'ControllerGetCapabilities',
      request: empty,
      quiet: true,
      handle: (): ControllerGetCapabilitiesResponse => ({
        capabilities: offered.map((type) => ({ rpc: { type } })),
      }),
    }),
  }) satisfies Partial<ControllerHandlers>;
