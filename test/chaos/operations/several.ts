import { asBlock, asMount } from '../../support/disk/csi.ts';
import { run } from '../ground/site.ts';
import { Broken, nodesFor, type ChaosVolume, type Lane, type Pod, type World } from '../world.ts';
import { settle } from '../calls.ts';
import { bring, look, onNode, pathIn, takeAway, withPod, withRunningPod, write } from './pods.ts';

// Each device has a cache of its own.
async function forget(pod: Pod): Promise<void> {
  await run(['blockdev', '--flushbufs', pathIn('raw', pod)], 'write');
}

/** A second pod, on another node, writes to a raw device that both may have, as in a live migration; each reads both. */
export async function share(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await withRunningPod(volume, async (mine, pod) => {
    if (!mine.shared || mine.inGroup) return;
    const other = lane.random.any(nodesFor(world, mine).filter((each) => each !== pod.node));
    await onNode(other, async () => {
      if (!other) return;
      const second = await bring(world, lane, mine, { node: other });
      await write(world, lane, mine, second);
      await forget(pod);
      await look(world, mine, pod);
      await write(world, lane, mine, pod);
      await forget(second);
      await look(world, mine, second);
      await takeAway(world, lane, mine, second);
    });
  });
}

/** Whether some write of a pod is known to have come to its end: then the volume holds a file system. */
const isWritten = ({ track }: ChaosVolume): boolean =>
  [...track.content.values()].some((writes) => !writes.has(0));

/** Pods on two nodes read a volume that nobody may write to. */
export async function readBoth(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await withPod(volume, async (mine) => {
    const [one, two] = nodesFor(world, mine);
    if (mine.pod || mine.inGroup || !isWritten(mine)) return;
    if ([...world.lost].some((each) => each.volume === mine.name)) return;
    await onNode(one, () =>
      onNode(two, async () => {
        if (!one || !two) return;
        const { kind } = mine;
        const mode = 'MULTI_NODE_READER_ONLY';
        const volume_capability = kind === 'raw' ? asBlock(mode) : asMount(kind, mode);
        const pods: Pod[] = [];
        for (const node of [one, two])
          pods.push(await bring(world, lane, mine, { node, volume_capability, readonly: true }));
        for (const each of pods) await look(world, mine, each);
        for (const each of pods) await takeAway(world, lane, mine, each);
      }),
    );
  });
}

/** The kubelet tells the node of a volume that has grown; ext4 may have to wait for its next stage. */
export async function growPod(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await withRunningPod(volume, async (mine, pod) => {
    const { bytes, kind } = mine;
    await tellNode(world, lane, mine, pod);
    if (kind !== 'raw') return;
    const size = await run(['blockdev', '--getsize64', pod.target], 'read');
    if (BigInt(size.trim()) < bytes)
      throw new Broken(`${mine.name} has ${bytes} bytes, and its device ${size.trim()}`);
  });
}

async function tellNode(
  world: World,
  lane: Lane,
  { name, id: volume_id, kind, bytes }: ChaosVolume,
  { node, target, staging }: Pod,
): Promise<void> {
  const { code, details } = await settle(world, lane, {
    rpc: 'NodeExpandVolume',
    about: name,
    node,
    request: {
      volume_id,
      volume_path: target,
      staging_target_path: staging,
      capacity_range: { required_bytes: String(bytes) },
    },
    final: kind === 'ext4' ? ['FAILED_PRECONDITION'] : [],
  });
  if (code !== 'OK' && !details.includes('grown when the volume is staged next'))
    throw new Broken(`${name} does not grow on ${node.name}: ${details}`);
}
