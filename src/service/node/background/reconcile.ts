import { isFault, messageOf } from '../../../model/fault.ts';
import { loopState } from '../../../linux/sysblock.ts';
import { detachUnnamed, loopsIn } from '../device/loops.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import { readVolume, mayBeFrozen, type NodeVolume } from '../device/volume.ts';
import { isLive } from '../device/places.ts';
import { forget, release, tearDown } from '../device/release.ts';

/**
 * At start: forgets volumes of an earlier boot, takes down what uses an image that is no longer its volume's
 * and what a stage left half done on a volume that is not this node's any more. Tells of what it finds wrong
 * and may not touch: only what records of this node name is ours.
 */
export async function reconcile(host: NodeHost): Promise<readonly string[]> {
  const { records, problems } = await host.records.all();
  const told = [...problems];
  for (const record of records) {
    try {
      const sentence = await reconcileVolume(host, record.volumeId);
      if (sentence !== undefined) told.push(sentence);
    } catch (error) {
      // A volume under way, busy or on a root that is down: the next call on it does what is left.
      const why = messageOf(error);
      told.push(`volume ${record.volumeId} was left as it is: ${why}`);
    }
  }
  return [...told, ...(await unrecorded(host, records))];
}

async function reconcileVolume(host: NodeHost, id: string): Promise<string | undefined> {
  using lock = host.lock(id);
  // Read again: the kubelet may have staged it anew since the list was made.
  const found = await host.records.asWritten(lock.id);
  if (!found) return undefined;
  if (found.bootId !== host.self.bootId) {
    // Devices of an earlier boot are gone; what has their numbers now is not ours.
    await forget(host, { ...found, attaching: undefined });
    return `volume ${lock.id} was in use here before the machine booted, and is no longer`;
  }
  const outdated = await whyOutdated(host, found);
  if (outdated !== undefined) {
    await forget(host, await tearDown(host, found));
    return `volume ${lock.id} was ${outdated} while it was staged here; what used its old image was taken down`;
  }
  const current = await currentVolume(host, lock.id);
  if (!found.staged && found.targets.length === 0 && !isOurs(host, current)) {
    await forget(host, await release(host, found));
    return `volume ${lock.id} was staged here half way when the driver ended, and is not attached here any more; it was taken down`;
  }
  await resume(host, found, current);
  return await whatIsWrong(host, found);
}

/** Why the image that is staged here belongs to nobody any more; undefined when that is not certain. */
async function whyOutdated(
  host: NodeHost,
  { volumeId, generation }: NodeRecord,
): Promise<string | undefined> {
  const place = await host.roots.byId(volumeId);
  const held = place && (await place.store.volumes.read(place.local));
  // A record that is not there, or not ready, is no reason to take anything from a running pod.
  if (!held) return undefined;
  const { state, image } = held.value;
  if (state === 'deleted') return 'deleted';
  const isOther = state === 'ready' && image !== null && image.key !== generation;
  return isOther ? 'given a new image' : undefined;
}

/** A restarted driver looks for requests again, and takes down what a publication that died had attached. */
async function resume(
  host: NodeHost,
  record: NodeRecord,
  volume: NodeVolume | undefined,
): Promise<void> {
  if (!volume || !record.staged) return;
  if (mayBeFrozen(volume, record)) await host.freezer.watch(volume.id, volume.store);
  if (!record.attaching) return;
  await detachUnnamed(host, volume.store, record);
  await host.records.write({ ...record, attaching: undefined });
}

const isOurs = ({ self }: NodeHost, volume: NodeVolume | undefined): boolean =>
  volume?.record.attachments.some(({ node }) => node === self.node) ?? false;

async function whatIsWrong(host: NodeHost, found: NodeRecord): Promise<string | undefined> {
  const states = await Promise.all(loopsIn(found).map(({ path }) => loopState(path)));
  if (states.some((state) => state?.backingFile.endsWith(' (deleted)')))
    return `the image of volume ${found.volumeId} was deleted while it is in use here`;
  if (found.staged && !(await isLive(host, found)))
    return `volume ${found.volumeId} is staged at ${JSON.stringify(found.stagingPath)} by the records of this node, but its ${found.kind === 'block' ? 'device' : 'mount'} is gone; delete the pods that use it here, so that it is staged again`;
  return undefined;
}

// The names of our images: a shard, then a key that is used once.
const imageName = /\/volumes\/[0-9a-f]{3}\/[A-Za-z0-9][A-Za-z0-9_-]*\.\d+-[0-9a-f]+$/;

/** Mounts of image files that look like ours, of which this node has no record: it lost them, or somebody else did it. */
async function unrecorded(
  host: NodeHost,
  records: readonly NodeRecord[],
): Promise<readonly string[]> {
  const own = new Set(records.flatMap(loopsIn).map(({ path }) => path));
  const told: string[] = [];
  for (const { source, point } of await host.mounter.below(host.kubeletDirectory)) {
    if (!/^\/dev\/loop\d+$/.test(source) || own.has(source)) continue;
    const file = (await loopState(source))?.backingFile ?? '';
    if (imageName.test(file.replace(/ \(deleted\)$/, '')))
      told.push(
        `${source} with ${file} is mounted at ${JSON.stringify(point)}, and no record of this node names it; unmount it by hand when no pod uses it`,
      );
  }
  return told;
}

async function currentVolume(host: NodeHost, id: string): Promise<NodeVolume | undefined> {
  try {
    return await readVolume(host, id);
  } catch (error) {
    // A record that is not there, or not ready, is no reason to take anything from a running pod.
    if (isFault(error, 'volume-missing', 'wrong-state')) return undefined;
    throw error;
  }
}
