import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { VolumeCapability } from '../../../src/wire/types.ts';
import { settle } from '../calls.ts';
import { offsetOf, verify } from '../files.ts';
import { blockBytes, blockOf, slots } from '../pattern.ts';
import { capabilityOf } from './volumes.ts';
import { beside, nodesFor, type ChaosVolume, type Lane, type Pod, type World } from '../world.ts';
import type { ChaosNode } from '../ground/node.ts';

/** Does something with the pod of a volume, while nothing else does. */
export async function withPod(
  volume: ChaosVolume | undefined,
  work: (volume: ChaosVolume) => Promise<void>,
): Promise<void> {
  await beside(volume, async () => {
    if (!volume || volume.podBusy) return;
    volume.podBusy = true;
    try {
      await work(volume);
    } finally {
      volume.podBusy = false;
    }
  });
}

/** Does something on a node, unless that is about to boot. */
export async function onNode(
  node: ChaosNode | undefined,
  work: () => Promise<void>,
): Promise<void> {
  if (!node?.open) return;
  node.busy += 1;
  try {
    await work();
  } finally {
    node.busy -= 1;
  }
}

/** Does something with the pod of a volume that runs, on its node, while nothing else does. */
export const withRunningPod = (
  volume: ChaosVolume | undefined,
  work: (volume: ChaosVolume, pod: Pod) => Promise<void>,
): Promise<void> =>
  withPod(volume, async (mine) => {
    const { pod } = mine;
    await onNode(pod?.node, async () => {
      if (pod?.alive && mine.pod === pod) await work(mine, pod);
    });
  });

/** Starts a pod with a volume on some node, and compares what it finds there. */
export async function startPod(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await withPod(volume, async (mine) => {
    if (mine.pod || mine.inGroup) return;
    const node = lane.random.any(nodesFor(world, mine));
    await onNode(node, async () => {
      if (node) await attach(world, lane, mine, node);
    });
  });
}

export async function attach(
  world: World,
  lane: Lane,
  volume: ChaosVolume,
  node: ChaosNode,
): Promise<Pod> {
  const { track } = volume;
  // A fence may cut the image while a pod that was given up still writes.
  const window = track.open();
  const pod = await bring(world, lane, volume, {
    node,
    attached: () => {
      track.become(window.close());
    },
  });
  volume.pod = pod;
  await look(world, volume, pod);
  return pod;
}

/** How a volume is brought to a node. */
interface Bringing {
  readonly node: ChaosNode;
  readonly volume_capability?: VolumeCapability;
  readonly readonly?: true;
  readonly attached?: () => void;
}

/** Attaches, stages and publishes a volume on a node. */
export async function bring(
  world: World,
  lane: Lane,
  volume: ChaosVolume,
  { node, volume_capability = capabilityOf(volume), readonly, attached }: Bringing,
): Promise<Pod> {
  const { name, id: volume_id } = volume;
  const staging = join(node.kubelet, 'staging', name);
  const target = join(node.kubelet, 'pods', name, 'mount');
  for (const each of [staging, join(target, '..')]) await mkdir(each, { recursive: true });
  const common = { volume_id, volume_capability, ...(readonly && { readonly }) };
  const request = { ...common, node_id: node.name };
  await settle(world, lane, { rpc: 'ControllerPublishVolume', about: name, request });
  attached?.();
  const staged = { ...common, staging_target_path: staging };
  await settle(world, lane, { rpc: 'NodeStageVolume', about: name, node, request: staged });
  const published = { ...staged, target_path: target };
  await settle(world, lane, { rpc: 'NodePublishVolume', about: name, node, request: published });
  return { node, staging, target, alive: true };
}

/** What a pod reads and writes: its device, or a file in its file system. */
export const pathIn = (kind: ChaosVolume['kind'], { target }: Pod): string =>
  kind === 'raw' ? target : join(target, 'data');

/** Compares what a pod sees with what it must see. */
export const look = (world: World, { name, kind, track }: ChaosVolume, pod: Pod): Promise<void> =>
  verify(world, pathIn(kind, pod), { name, kind, content: track.content });

/** A pod writes to some places of its volume, and compares all of it. */
export async function usePod(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await withPod(volume, async (mine) => {
    const { pod } = mine;
    await onNode(pod?.node, async () => {
      if (!pod || mine.pod !== pod || (mine.inGroup && !pod.alive)) return;
      // Its node booted: the kubelet starts it again.
      const now = pod.alive ? pod : await attach(world, lane, mine, pod.node);
      await write(world, lane, mine, now);
      if (lane.random.chance(0.4)) await look(world, mine, now);
    });
  });
}

/** A pod writes to some places of its volume. */
export async function write(
  world: World,
  lane: Lane,
  volume: ChaosVolume,
  pod: Pod,
): Promise<void> {
  const { kind, track } = volume;
  lane.steps += 1;
  const handle = await open(pathIn(kind, pod), kind === 'raw' ? 'r+' : 'a+').then((first) =>
    kind === 'raw' ? first : reopened(first, pathIn(kind, pod)),
  );
  try {
    for (let left = 1 + lane.random.int(8); left > 0; left -= 1) {
      const slot = lane.random.int(slots);
      const number = world.writes.begin(track, slot);
      await put(handle, kind, { object: track.object, write: number, slot });
      track.done(slot, number);
    }
  } finally {
    await handle.close();
  }
}

// A file that is opened to append writes only to its end.
async function reopened(first: FileHandle, path: string): Promise<FileHandle> {
  await first.sync();
  await first.close();
  return open(path, 'r+');
}

export async function put(
  handle: FileHandle,
  kind: ChaosVolume['kind'],
  mark: { readonly object: number; readonly write: number; readonly slot: number },
): Promise<void> {
  await handle.write(blockOf(mark), 0, blockBytes, offsetOf(kind, mark.slot));
  await handle.sync();
}

/** Stops a pod, and takes its volume from the node. */
export async function stopPod(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await withPod(volume, async (mine) => {
    const { pod } = mine;
    await onNode(pod?.node, async () => {
      if (!pod || mine.pod !== pod || mine.inGroup) return;
      mine.pod = undefined;
      await takeAway(world, lane, mine, pod);
    });
  });
}

/** Unpublishes, unstages and detaches a volume. */
export async function takeAway(
  world: World,
  lane: Lane,
  volume: ChaosVolume,
  pod: Pod,
): Promise<void> {
  await letGo(world, lane, volume, pod);
  await detach(world, lane, volume, pod);
}

export async function letGo(
  world: World,
  lane: Lane,
  { name, id: volume_id }: Pick<ChaosVolume, 'name' | 'id'>,
  { node, staging, target }: Pod,
): Promise<void> {
  const unpublish = { volume_id, target_path: target };
  await settle(world, lane, {
    rpc: 'NodeUnpublishVolume',
    about: name,
    node,
    request: unpublish,
  });
  const unstage = { volume_id, staging_target_path: staging };
  await settle(world, lane, { rpc: 'NodeUnstageVolume', about: name, node, request: unstage });
}

export const detach = (world: World, lane: Lane, { name, id }: ChaosVolume, { node }: Pod) =>
  settle(world, lane, {
    rpc: 'ControllerUnpublishVolume',
    about: name,
    request: { volume_id: id, node_id: node.name },
  });
