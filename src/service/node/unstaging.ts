import { DriverError } from '../../model/fault.ts';
import type { NodeRecord } from './noderecords.ts';
import type { NodeParts } from './parts.ts';
import { firstPublished } from './published.ts';
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
