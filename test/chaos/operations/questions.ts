import { GiB } from '../../../src/model/bytes.ts';
import { settle } from '../calls.ts';
import { Broken, beside, type ChaosVolume, type Lane, type World } from '../world.ts';
import { withRunningPod } from './pods.ts';
import { capabilityOf } from './volumes.ts';

/** Asks the node how full a volume is that a pod uses, as the kubelet does each minute. */
export async function usage(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await withRunningPod(volume, async (mine, pod) => {
    const request = { volume_id: mine.id, volume_path: pod.target };
    const ask = { rpc: 'NodeGetVolumeStats', about: mine.name, node: pod.node, request };
    const { reply } = await settle(world, lane, ask);
    const total = totalOf(reply);
    if (total <= 0n || (total > mine.bytes && !mine.growing))
      throw new Broken(`${mine.name} has ${mine.bytes} bytes, and its node says ${total}`);
  });
}

const totalOf = (reply: unknown): bigint =>
  BigInt((reply as { readonly usage: readonly { readonly total: string }[] }).usage[0]?.total ?? 0);

/** Asks whether a volume can be used as it was asked for. */
export async function validate(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await beside(volume, async () => {
    if (!volume) return;
    const volume_capabilities = [capabilityOf(volume)];
    const { reply } = await settle(world, lane, {
      rpc: 'ValidateVolumeCapabilities',
      about: volume.name,
      request: { volume_id: volume.id, volume_capabilities },
    });
    const { confirmed, message } = reply as {
      readonly confirmed: unknown;
      readonly message: string;
    };
    if (!confirmed) throw new Broken(`${volume.name} cannot be used as it was made: ${message}`);
  });
}

/** Asks how much room there is in a root. */
export async function capacity(world: World, lane: Lane): Promise<void> {
  const root = lane.random.of(world.site.roots);
  const request = { parameters: { root } };
  const { reply } = await settle(world, lane, { rpc: 'GetCapacity', about: root, request });
  const room = BigInt((reply as { readonly available_capacity: string }).available_capacity);
  if (room < 0n || room > 8n * GiB) throw new Broken(`${root} has room for ${room} bytes`);
}

/** Lists everything, and looks for each object that was there all the time. */
export async function list(world: World, lane: Lane): Promise<void> {
  const { volumes, snapshots } = world;
  const there = [...volumes, ...snapshots]
    .filter(({ what, alone }) => what !== 'image' && !alone)
    .map((each) => ({ each, root: each.root }));
  const ids = new Set([
    ...(await idsOf(world, lane, 'ListVolumes')),
    ...(await idsOf(world, lane, 'ListSnapshots')),
  ]);
  const all = new Set<unknown>([...volumes, ...snapshots]);
  const missing = there
    .filter(({ each, root }) => all.has(each) && !each.alone && each.root === root)
    .filter(({ each }) => !ids.has(each.id))
    .map(({ each }) => each.name);
  if (missing.length > 0) throw new Broken(`${missing.join(', ')} exists and is not listed`);
}

interface Page {
  readonly entries: readonly {
    readonly volume?: { readonly volume_id: string };
    readonly snapshot?: { readonly snapshot_id: string };
  }[];
  readonly next_token: string;
}

async function idsOf(world: World, lane: Lane, rpc: string): Promise<readonly string[]> {
  const max_entries = lane.random.int(8);
  const ids: string[] = [];
  for (let starting_token = ''; ;) {
    const request = { max_entries, starting_token };
    const { reply } = await settle(world, lane, { rpc, about: 'all', request });
    const { entries, next_token } = reply as Page;
    ids.push(
      ...entries.map(({ volume, snapshot }) => volume?.volume_id ?? snapshot?.snapshot_id ?? ''),
    );
    if (next_token === '') return ids;
    starting_token = next_token;
  }
}
