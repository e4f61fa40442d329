import { connectTo } from '../support/server/client.ts';

/** Calls of a real client. A call that fails throws the server's message. */
export type Csi = ReturnType<typeof csiClient>;

/** Options of a request to create a volume. */
export interface Wanted {
  readonly bytes?: bigint;
  readonly capability?: object;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly snapshot?: string;
  readonly volume?: string;
}

/** The name of the one node there is. */
export const nodeName = 'bench';

const mode = { access_mode: { mode: 'SINGLE_NODE_MULTI_WRITER' } };

/** A raw block device. */
const asBlock = { block: {}, ...mode };

/** A mounted file system. */
export const asMount = (fsType: string) => ({ mount: { fs_type: fsType }, ...mode });

/** A client on the socket of a server. */
export function csiClient(socket: string) {
  const client = connectTo(socket);
  const close = (): void => {
    client.close();
  };
  const ask = async <Reply>(rpc: string, request: object): Promise<Reply> => {
    const { code, details, reply } = await client.call(rpc, request, { deadlineMs: 100_000 });
    if (code !== 'OK') throw new Error(`${rpc} failed with ${code}: ${details}`);
    return reply as Reply;
  };
  return { close, ...controllerCalls(ask), ...nodeCalls(ask) };
}

type Ask = <Reply>(rpc: string, request: object) => Promise<Reply>;

const controllerCalls = (ask: Ask) => ({
  probe: () => ask<{ ready: { value: boolean } | null }>('Probe', {}),
  create: async (name: string, wanted: Wanted = {}): Promise<string> => {
    const { volume } = await ask<{ volume: { volume_id: string } }>('CreateVolume', {
      name,
      capacity_range: { required_bytes: String(wanted.bytes ?? 1n << 30n) },
      volume_capabilities: [wanted.capability ?? asBlock],
      parameters: wanted.parameters ?? {},
      volume_content_source: sourceOf(wanted),
    });
    return volume.volume_id;
  },
  remove: (id: string) => ask('DeleteVolume', { volume_id: id }),
  get: (id: string) => ask('ControllerGetVolume', { volume_id: id }),
  expand: (id: string, bytes: bigint) =>
    ask('ControllerExpandVolume', {
      volume_id: id,
      capacity_range: { required_bytes: String(bytes) },
    }),
  snapshot: async (name: string, of: string): Promise<string> => {
    const request = { name, source_volume_id: of };
    const made = await ask<{ snapshot: { snapshot_id: string } }>('CreateSnapshot', request);
    return made.snapshot.snapshot_id;
  },
  removeSnapshot: (id: string) => ask('DeleteSnapshot', { snapshot_id: id }),
  list: async (token = ''): Promise<{ readonly entries: number; readonly next: string }> => {
    const request = { max_entries: 1000, starting_token: token };
    const page = await ask<{ entries: unknown[]; next_token: string }>('ListVolumes', request);
    return { entries: page.entries.length, next: page.next_token };
  },
  capacity: () => ask('GetCapacity', { volume_capabilities: [asBlock] }),
  publish: (id: string, capability: object = asBlock) =>
    ask('ControllerPublishVolume', {
      volume_id: id,
      node_id: nodeName,
      volume_capability: capability,
    }),
  unpublish: (id: string) => ask('ControllerUnpublishVolume', { volume_id: id, node_id: nodeName }),
});

const nodeCalls = (ask: Ask) => ({
  stage: (id: string, path: string, capability: object) =>
    ask('NodeStageVolume', {
      volume_id: id,
      staging_target_path: path,
      volume_capability: capability,
    }),
  unstage: (id: string, path: string) =>
    ask('NodeUnstageVolume', { volume_id: id, staging_target_path: path }),
  bind: (id: string, path: string, target: string, capability: object) =>
    ask('NodePublishVolume', {
      volume_id: id,
      staging_target_path: path,
      target_path: target,
      volume_capability: capability,
    }),
  unbind: (id: string, target: string) =>
    ask('NodeUnpublishVolume', { volume_id: id, target_path: target }),
});

function sourceOf({ snapshot, volume }: Wanted): object | null {
  if (snapshot !== undefined) return { snapshot: { snapshot_id: snapshot } };
  return volume === undefined ? null : { volume: { volume_id: volume } };
}
