import { DriverError } from '../../model/fault.ts';
import type { NodeRecord, Target } from './noderecords.ts';
import type { NodeParts } from './parts.ts';
import { isOfVolume } from './places.ts';
import { forget, release } from './teardown.ts';

/** Undoes a stage, whole or half done. What needs the shared file system comes last, so that a retry finishes. */
export async function unstage(parts: NodeParts, id: string, stagingPath: string): Promise<void> {
  using volume = parts.lock(id);
  const record = await parts.records.read(volume.id);
  if (!record || !isPathOf(record, stagingPath)) {
    await requireNothing(parts, id, stagingPath);
    return;
  }
  const published = await firstPublished(parts, record);
  if (published)
    throw new DriverError(
      'in-use',
      `volume ${id} is still published at ${JSON.stringify(published.path)}; unpublish it first`,
    );
  await forget(parts, await release(parts, { ...record, targets: [] }));
}

/**
 * A target that keeps the volume staged. A file system is held by its mounts alone, so that a pod that was taken
 * away by hand holds nothing. A container may have the number of a device without a mount: there the record counts.
 */
async function firstPublished(parts: NodeParts, record: NodeRecord): Promise<Target | undefined> {
  if (record.kind === 'block') return record.targets[0];
  for (const target of record.targets)
    for (const mount of await parts.mounter.at(target.path))
      if (await isOfVolume(record, mount)) return target;
  return undefined;
}

const isPathOf = (record: NodeRecord, path: string): boolean =>
  record.stagingPath === path || record.stagingAsked === path;

/** Success only when nothing is there: a mount without a record means that this node lost its records. */
async function requireNothing(parts: NodeParts, id: string, path: string): Promise<void> {
  const [mounted] = await parts.mounter.at(path);
  if (mounted)
    throw new DriverError(
      'wrong-state',
      `${mounted.source} is mounted at ${JSON.stringify(path)}, but this node has no record that volume ${id} is staged there; unmount it by hand`,
    );
}
