import { open } from 'node:fs/promises';
import { slots } from '../pattern.ts';
import { nodesFor, type ChaosVolume, type Lane, type Lost, type World } from '../world.ts';
import { attach, detach, letGo, look, onNode, pathIn, put, withPod } from './pods.ts';

/** Kubernetes gives a node up: the volume goes to another one, while the pod of the first still writes. */
export async function losePod(
  world: World,
  lane: Lane,
  volume: ChaosVolume | undefined,
): Promise<void> {
  await withPod(volume, async (mine) => {
    const { pod } = mine;
    const other = lane.random.any(nodesFor(world, mine).filter((each) => each !== pod?.node));
    await onNode(pod?.node, () =>
      onNode(other, async () => {
        // What several nodes may have goes to no other node for the loss of one.
        if (!pod || !other || mine.pod !== pod || mine.inGroup || mine.shared) return;
        mine.pod = undefined;
        await detach(world, lane, mine, pod);
        const lost: Lost = {
          ...pod,
          volume: mine.name,
          id: mine.id,
          object: mine.track.object,
          kind: mine.kind,
          buried: false,
          writes: true,
        };
        world.lost.add(lost);
        const now = await attach(world, lane, mine, other);
        await scribble(world, lane, mine, lost);
        lost.writes = false;
        await look(world, mine, now);
      }),
    );
  });
}

/** Writes of a pod that was given up go to what it had, and to nothing else. */
async function scribble(world: World, lane: Lane, volume: ChaosVolume, lost: Lost): Promise<void> {
  const path = pathIn(volume.kind, lost);
  const handle = lost.alive ? await open(path, 'r+').catch(() => undefined) : undefined;
  if (!handle) return;
  try {
    // Its driver may have taken the device away already; a file is left where that was, and no pod would write to it.
    if (volume.kind === 'raw' && !(await handle.stat()).isBlockDevice()) return;
    // Not of the model: a write of this number is nowhere to be found.
    const unknown = { object: lost.object, write: 0xffff_ffff, slot: lane.random.int(slots) };
    await put(handle, volume.kind, unknown);
    world.journal.count('operations', 'write of a lost pod');
  } catch (error) {
    // The device may go meanwhile.
    world.journal.note('lost', { about: volume.name, error: String(error) });
  } finally {
    await handle.close().catch(() => undefined);
  }
}

/** The kubelet of a node that was given up lets go of its volume in the end. */
export async function buryPod(world: World, lane: Lane, lost: Lost | undefined): Promise<void> {
  await onNode(lost?.node, async () => {
    if (!lost || lost.buried || lost.writes) return;
    lost.buried = true;
    await letGo(world, lane, { name: lost.volume, id: lost.id }, lost);
    // Only now may the volume come to this node again.
    world.lost.delete(lost);
  });
}
