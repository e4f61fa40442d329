import { realpath } from 'node:fs/promises';
import { isFault, messageOf } from '../../../model/fault.ts';
import { loopState } from '../../../linux/sysblock.ts';
import { detachUnnamed, loopsIn } from '../device/loops.ts';
import type { NodeRecord } from '../state/records.ts';
import type { NodeHost } from '../host.ts';
import { readVolume, mayBeFrozen, type NodeVolume } from '../device/volume.ts';
import { isLive } from '../device/places.ts';
import { forget, release, tearDown } from '../device/release.ts';

/**
 * At start: forgets volumes of an earlier boot, takes down what uses the old image of a volume, and what an
 * interrupted stage left of a volume that is not attached to this node any more. Resolves to sentences about what
 * was done, and about what is wrong and must be left alone: the driver touches only what its records name.
 */
export async function reconcile(host: NodeHost): Promise<readonly string[]> {
  const { records, problems } = await host.records.all();
  const findings = [...problems];
  for (const record of records) {
    try {
      const sentence = await reconcileVolume(host, record.volumeId);
      if (sentence !== undefined) findings.push(sentence);
    } catch (error) {
      // The volume is busy or its root is down: the next call for it does what is left.
      const why = messageOf(error);
      findings.push(`volume ${record.volumeId} was left as it is: ${why}`);
    }
  }
  return [...findings, ...(await unrecorded(host, records))];
}

async function reconcileVolume(host: NodeHost, id: string): Promise<string | undefined> {
  using lock = host.lock(id);
  // Read again: the kubelet may have staged the volume since the list was read.
  const found = await host.records.asWritten(lock.id);
  if (!found) return undefined;
  if (found.bootId !== host.self.bootId) {
    // Devices of an earlier boot are gone; their numbers may belong to others now.
    await forget(host, { ...found, attaching: undefined });
    if (found.staged) host.vanished.set(found.volumeId, { ...found, loop: null, targets: [] });
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

/** Why no volume has the image that is staged here any more; undefined when that is not certain. */
async function whyOutdated(
  { roots }: Pick<NodeHost, 'roots'>,
  { volumeId, generation }: NodeRecord,
): Promise<string | undefined> {
  const place = await roots.byId(volumeId);
  const held = place && (await place.store.volumes.read(place.local));
  // A missing record is no reason to unmount anything from a running pod.
  if (!held) return undefined;
  const { state, image } = held.value;
  if (state === 'deleted') return 'deleted';
  const isOther = state === 'ready' && image !== null && image.key !== generation;
  return isOther ? 'given a new image' : undefined;
}

/** Looks for freeze requests again, and detaches what an interrupted publication had attached. */
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

const isOurs = ({ self }: Pick<NodeHost, 'self'>, volume: NodeVolume | undefined): boolean =>
  volume?.record.attachments.some(({ node }) => node === self.node) ?? false;

async function whatIsWrong(
  host: Pick<NodeHost, 'losetup' | 'mounter'>,
  found: NodeRecord,
): Promise<string | undefined> {
  const states = await Promise.all(loopsIn(found).map(({ path }) => loopState(path)));
  if (states.some((state) => state?.backingFile.endsWith(' (deleted)')))
    return `the image of volume ${found.volumeId} was deleted while it is in use here`;
  if (found.staged && !(await isLive(host, found)))
    return `volume ${found.volumeId} is staged at ${JSON.stringify(found.stagingPath)} by the records of this node, but its ${found.kind === 'block' ? 'device' : 'mount'} is gone; the next pod that starts with it here gets it staged again, delete those whose files are gone`;
  return undefined;
}

// The names of the driver's images: a shard, then a key that is used once.
const imageName = /\/volumes\/[0-9a-f]{3}\/[A-Za-z0-9][A-Za-z0-9_-]*\.\d+-[0-9a-f]+$/;

/** Mounts of the driver's images that no record names: this node lost records, or an administrator mounted them. */
async function unrecorded(
  { mounter, kubeletDirectory }: Pick<NodeHost, 'mounter' | 'kubeletDirectory'>,
  records: readonly NodeRecord[],
): Promise<readonly string[]> {
  const own = new Set(records.flatMap(loopsIn).map(({ path }) => path));
  const findings: string[] = [];
  for (const { source, point } of await mounter.below(await realKubelet(kubeletDirectory))) {
    if (!/^\/dev\/loop\d+$/.test(source) || own.has(source)) continue;
    const file = (await loopState(source))?.backingFile ?? '';
    if (imageName.test(file.replace(/ \(deleted\)$/, '')))
      findings.push(
        `${source} with ${file} is mounted at ${JSON.stringify(point)}, and no record of this node names it; unmount it by hand when no pod uses it`,
      );
  }
  return findings;
}

// The kernel shows mounts by their real paths.
const realKubelet = (directory: string): Promise<string> =>
  realpath(directory).catch(() => directory);

async function currentVolume(
  host: Pick<NodeHost, 'roots'>,
  id: string,
): Promise<NodeVolume | undefined> {
  try {
    return await readVolume(host, id);
  } catch (error) {
    // A record that is missing or not ready is no reason to unmount anything from a running pod.
    if (isFault(error, 'volume-missing', 'wrong-state')) return undefined;
    throw error;
  }
}
