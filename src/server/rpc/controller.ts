// To add an RPC: its schema in requests/, its reply in replies.ts, its method in service/api.ts, `unary({ … })` in the
// file of its noun here, and its capability in `offered` (Node has its own in node.ts). A streaming RPC also needs a
// wrapper beside call/unary.ts with the same decode, locks, calls and report; a new service, `servicesOf` in listen.ts.
import type { Services } from '../../service/api.ts';
import type { ControllerGetCapabilitiesResponse, ControllerHandlers } from '../../wire/types.ts';
import type { Unary } from '../call/unary.ts';
import { attachmentHandlers } from './attachments.ts';
import { empty } from './requests/node.ts';
import { snapshotHandlers } from './snapshots.ts';
import { volumeHandlers } from './volumes.ts';

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

/** The Controller service; grpc-js answers UNIMPLEMENTED for an RPC that has no handler. */
export const controllerHandlers = (unary: Unary, services: Services) =>
  ({
    ...volumeHandlers(unary, services),
    ...snapshotHandlers(unary, services),
    ...attachmentHandlers(unary, services),
    ControllerGetCapabilities: unary({
      name: 'ControllerGetCapabilities',
      request: empty,
      quiet: true,
      handle: (): ControllerGetCapabilitiesResponse => ({
        capabilities: offered.map((type) => ({ rpc: { type } })),
      }),
    }),
  }) satisfies Partial<ControllerHandlers>;
