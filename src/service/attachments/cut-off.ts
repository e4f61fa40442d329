import { planCopy, planSnap, type DataRef } from '../../model/clone-tree.ts';
import { DriverError } from '../../model/fault.ts';
import { localIdOf } from '../../model/ids.ts';
import { ignoring } from '../../store/edges.ts';
import type { Held } from '../../store/records.ts';
import type { RootStore } from '../../store/root.ts';
import type { VolumeRecord } from '../../store/schema/volume.ts';
import type { ServiceHost } from '../host.ts';
import { removeUnfinished } from '../claims/bar.ts';
import { deeper, endClaim, isFencing, requireClaim } from '../claims/own-claim.ts';
import { endCut, recordCut } from '../parents/cut.ts';
import { statOf, pathOf } from '../claims/data-files.ts';
import { perform } from '../claims/steps.ts';

/** A volume whose record carries a claim to cut other nodes off from its image. */
type FencingVolume = Held<VolumeRecord>;

/**
 * The files that such a claim announces: the present image, the clone parent that is cut from it, and the next
 * image.
 */
interface Announced {
  readonly fenced: DataRef;
  readonly parent: DataRef;
  readonly next: DataRef;
}

function announced({ id, claim }: VolumeRecord): Announced {
  if (claim?.op !== 'fence' || !claim.parent || !claim.image || !claim.fenced)
    throw new Error(`volume ${id} has no claim on a new generation`);
  return {
    fenced: { data: 'volumes', key: claim.fenced },
    parent: { data: 'hidden', key: claim.parent },
    next: { data: 'volumes', key: claim.image },
  };
}

/**
 * Makes the next generation that a claim announces, and ends the claim. A node that still has the old image open
 * continues to write, to a file without a name. The volume starts from what the image held when its parent was cut.
 */
export async function cutOff(
  host: Pick<ServiceHost, 'commands' | 'log' | 'backlog' | 'happened'>,
  store: RootStore,
  claimed: FencingVolume,
): Promise<Held<VolumeRecord>> {
  await makeNext(host, store, claimed);
  const switched = await switchTo(store, claimed);
  host.happened(store, 'cut off');
  const ended = await dropFenced(store, switched);
  host.log.info(
    { volume: claimed.id, parent: claimed.value.claim?.parent },
    'other nodes are cut off from a volume; its new clone parent stays until compaction',
  );
  // Nobody asked to keep the parent, and no deletion will put it on the queue.
  await host.backlog.add(store, claimed.id);
  return ended;
}

/**
 * The image that a cut-off node may still write to gets a clone parent. What the image held at that moment continues in
 * a new one beside it, of the same size at least. No limit on depth refuses a fence.
 */
async function makeNext(
  host: Pick<ServiceHost, 'commands'>,
  store: RootStore,
  claimed: FencingVolume,
): Promise<void> {
  const { value } = claimed;
  const { fenced, parent, next } = announced(value);
  // An interrupted attempt may have left its parent: a second one would only make the tree deeper.
  const there = await statOf(store, pathOf(store, parent));
  if (!there) await perform(store, host.commands, planSnap(fenced, parent, value.parent));
  const cut = there ?? (await store.files.stat(pathOf(store, parent)));
  await recordCut(store, claimed, cut);
  const size = { parentBytes: cut.size, bytes: cut.size > value.bytes ? cut.size : value.bytes };
  await perform(store, host.commands, planCopy(parent, next, size, value.attributes));
}

/** The one write that gives the volume its next image, and the node its attachment. */
async function switchTo(store: RootStore, claimed: FencingVolume): Promise<FencingVolume> {
  const { id, value } = claimed;
  const { parent, next } = announced(value);
  const stat = await statOf(store, pathOf(store, next));
  if (!stat || stat.size < value.bytes)
    throw new DriverError(
      'command-failed',
      `the new image of volume ${id} has ${stat?.size ?? 'no'} bytes instead of ${value.bytes}; try again`,
    );
  const { size: bytes } = stat;
  const image = { key: next.key, inode: stat.inode };
  const change = (now: VolumeRecord): VolumeRecord => {
    requireClaim(now, value);
    const attachments = now.attachments.map((each) => ({ ...each, state: 'ready' as const }));
    // The node may write from now on, so no clone may share the parent.
    return {
      ...now,
      image,
      bytes,
      parent: parent.key,
      unchanged: false,
      attachments,
      ...deeper(now),
    };
  };
  return store.volumes.update(id, change, 'name', claimed);
}

/** Removes the name of the old image: no record uses it any more. */
async function dropFenced(store: RootStore, switched: FencingVolume): Promise<Held<VolumeRecord>> {
  const { fenced, parent } = announced(switched.value);
  await ignoring(store.files.unlink(pathOf(store, fenced)), 'ENOENT');
  await store.edges.remove(parent.key, fenced.key);
  return endClaim(store, switched, () => ({}));
}

/**
 * Ends an interrupted fence. Once the record names the next image, only the old name is left to remove. Before
 * that, all is undone except for a parent that was cut: the image reads through it, and GPFS cannot take a parent
 * out again. No command is run, so that no request on the volume waits for one.
 */
export async function endFence(
  host: Pick<ServiceHost, 'backlog' | 'compaction'>,
  store: RootStore,
  held: FencingVolume,
): Promise<Held<VolumeRecord>> {
  const { image, attachments } = held.value;
  if (image?.key === announced(held.value).next.key) return dropFenced(store, held);
  await dropNext(store, held.value);
  const ended = await endCut(host, store, held, { unchanged: false });
  for (const { node } of attachments.filter(isFencing))
    await store.attached.remove(localIdOf(node), held.id);
  await host.backlog.add(store, held.id);
  return ended;
}

/** Removes the next image of a fence that failed. Its name is used only once, so no other operation needs it. */
export async function dropNext(store: RootStore, record: VolumeRecord): Promise<void> {
  const { parent, next } = announced(record);
  await removeUnfinished(store, next);
  await store.edges.remove(parent.key, next.key);
}

/** Whether a fence has cut its parent, and the record does not name the next image yet. */
export async function isCut(store: RootStore, record: VolumeRecord): Promise<boolean> {
  if (record.claim?.op !== 'fence') return false;
  const { parent, next } = announced(record);
  if (record.image?.key === next.key) return false;
  return (await statOf(store, pathOf(store, parent))) !== undefined;
}
