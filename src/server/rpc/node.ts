import type { z } from 'zod';
import { DriverError } from '../../model/fault.ts';
import type { PublishAsk, Services } from '../../service/api.ts';
import type {
  NodeExpandVolumeResponse,
  NodeGetCapabilitiesResponse,
  NodeGetInfoResponse,
  NodeHandlers,
  NodePublishVolumeResponse,
  NodeStageVolumeResponse,
  NodeUnpublishVolumeResponse,
  NodeUnstageVolumeResponse,
} from '../../wire/types.ts';
import type { LockKey } from '../call/locks.ts';
import { statsResponse } from './replies.ts';
import type { Unary } from '../call/unary.ts';
import * as requests from './requests/node.ts';

const offered = [
  'STAGE_UNSTAGE_VOLUME',
  'GET_VOLUME_STATS',
  'EXPAND_VOLUME',
  'SINGLE_NODE_MULTI_WRITER',
] as const;

const here = (id: string): readonly LockKey[] => [{ on: 'node-volume', id }];
const byAsk = ({ id }: { readonly id: string }) => here(id);
const byId = ({ volume_id }: { readonly volume_id: string }) => here(volume_id);

/** The Node service. Add an RPC as rpc/controller.ts says. */
export const nodeHandlers = (unary: Unary, services: Services) =>
  ({
    ...mountHandlers(unary, services),
    // Takes no lock: it changes nothing, and must answer while a stage of the volume hangs.
    NodeGetVolumeStats: unary({
      name: 'NodeGetVolumeStats',
      request: requests.nodeGetVolumeStats,
      quiet: true,
      handle: async ({ volume_id, volume_path }) =>
        statsResponse(await services.node.stats(volume_id, volume_path)),
    }),
    NodeExpandVolume: unary({
      name: 'NodeExpandVolume',
      request: requests.nodeExpandVolume,
      locks: byId,
      handle: (wire) => expand(services, wire),
    }),
    NodeGetCapabilities: unary({
      name: 'NodeGetCapabilities',
      request: requests.empty,
      quiet: true,
      handle: (): NodeGetCapabilitiesResponse => ({
        capabilities: offered.map((type) => ({ rpc: { type } })),
      }),
    }),
    NodeGetInfo: unary({
      name: 'NodeGetInfo',
      request: requests.empty,
      quiet: true,
      handle: () => infoOf(services),
    }),
  }) satisfies Partial<NodeHandlers>;

const expand = async (
  { node }: Services,
  wire: z.output<typeof requests.nodeExpandVolume>,
): Promise<NodeExpandVolumeResponse> => {
  const { volume_id, volume_path, capacity_range, volume_capability } = wire;
  const kind = volume_capability?.access.kind;
  return {
    capacity_bytes: String(await node.expand(volume_id, volume_path, capacity_range, kind)),
  };
};

const infoOf = async ({
  nodeId,
  maxVolumesPerNode,
  topology,
}: Services): Promise<NodeGetInfoResponse> => ({
  node_id: nodeId,
  max_volumes_per_node: String(maxVolumesPerNode),
  ...(topology ? { accessible_topology: { segments: await topology.here() } } : {}),
});

const mountHandlers = (unary: Unary, { node }: Services) =>
  ({
    NodeStageVolume: unary({
      name: 'NodeStageVolume',
      request: requests.nodeStageVolume,
      locks: byAsk,
      handle: async (ask): Promise<NodeStageVolumeResponse> => {
        await node.stage(ask);
        return {};
      },
    }),
    NodeUnstageVolume: unary({
      name: 'NodeUnstageVolume',
      request: requests.nodeUnstageVolume,
      locks: byId,
      handle: async ({ volume_id, staging_target_path }): Promise<NodeUnstageVolumeResponse> => {
        await node.unstage(volume_id, staging_target_path);
        return {};
      },
    }),
    NodePublishVolume: unary({
      name: 'NodePublishVolume',
      request: requests.nodePublishVolume,
      locks: byAsk,
      handle: async (ask): Promise<NodePublishVolumeResponse> => {
        await node.publish(staged(ask));
        return {};
      },
    }),
    NodeUnpublishVolume: unary({
      name: 'NodeUnpublishVolume',
      request: requests.nodeUnpublishVolume,
      locks: byId,
      handle: async ({ volume_id, target_path }): Promise<NodeUnpublishVolumeResponse> => {
        await node.unpublish(volume_id, target_path);
        return {};
      },
    }),
  }) satisfies Partial<NodeHandlers>;

function staged(ask: PublishAsk): PublishAsk {
  if (ask.stagingPath !== '') return ask;
  throw new DriverError(
    'wrong-state',
    `volume ${ask.id} cannot be published without staging_target_path; stage it first and say where`,
  );
}
