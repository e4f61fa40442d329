import { loopState } from '../../linux/sysblock.ts';
import { loopsIn } from './devices.ts';
import type { NodeRecord } from './noderecords.ts';
import type { NodeParts } from './parts.ts';
import { forget, tearDown } from './teardown.ts';

/**
 * At start: forgets volumes of an earlier boot, takes down what uses an image that is no longer its volume's,
 * and tells of files that were deleted under a device. Touches nothing but what records of this node name.
 */
export async function reconcile(parts: NodeParts): Promise<readonly string[]> {
  const told: string[] = [];
  for (const record of await parts.records.all()) {
    try {
      const sentence = await reconcileVolume(parts, record);
      if (sentence !== undefined) told.push(sentence);
    } catch (error) {
      // A volume under way, busy or on a root that is down: the next call on it does what is left.
      const why = error instanceof Error ? error.message : String(error);
      told.push(`volume ${record.volumeId} was left as it is: ${why}`);
    }
  }
  return told;
}

async function reconcileVolume(parts: NodeParts, found: NodeRecord): Promise<string | undefined> {
  using volume = parts.lock(found.volumeId);
  if (found.bootId !== parts.self.bootId) {
    await forget(parts, found);
    return `volume ${volume.id} was in use here before the machine booted, and is no longer`;
  }
  const outdated = await whyOutdated(parts, found);
  if (outdated !== undefined) {
    await forget(parts, await tearDown(parts, found));
    return `volume ${volume.id} was ${outdated} while it was staged here; what used its old image was taken down`;
  }
  const states = await Promise.all(loopsIn(found).map(({ path }) => loopState(path)));
  const deleted = states.find((state) => state?.backingFile.endsWith(' (deleted)'));
  return deleted && `the image of volume ${volume.id} was deleted while it is in use here`;
}

/** Why the image that is staged here belongs to nobody any more; undefined when that is not certain. */
async function whyOutdated(
  parts: NodeParts,
  { volumeId, generation }: NodeRecord,
): Promise<string | undefined> {
  const place = await parts.roots.byId(volumeId);
  const held = place && (await place.store.volumes.read(place.local));
  // A record that is not there, or not ready, is no reason to take anything from a running pod.
  if (!held) return undefined;
  const { state, image } = held.value;
  if (state === 'deleted') return 'deleted';
  const isOther = state === 'ready' && image !== null && image.key !== generation;
  return isOther ? 'given a new image' : undefined;
}
