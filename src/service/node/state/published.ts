import type { NodeRecord, Target } from './records.ts';
import type { NodeHost } from '../host.ts';
import { isOfVolume } from './places.ts';

/**
 * A target that keeps the volume staged. A file system is held by its mounts alone, so that a pod that was taken
 * away by hand holds nothing. A container may have the number of a device without a mount: there the record counts.
 */
export async function firstPublished(
  host: NodeHost,
  record: NodeRecord,
): Promise<Target | undefined> {
  if (record.kind === 'block') return record.targets[0];
  for (const target of record.targets)
    for (const mount of await host.mounter.at(target.path))
      if (await isOfVolume(record, mount)) return target;
  return undefined;
}
