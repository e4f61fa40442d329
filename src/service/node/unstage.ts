import { DriverError } from '../../model/fault.ts';
import type { NodeRecord } from './state/records.ts';
import type { NodeHost } from './host.ts';
import { firstPublished } from './device/places.ts';
import { forget, release } from './device/release.ts';

/** Undoes a stage, complete or interrupted. Steps on the shared file system come last, so that a retry finishes. */
export async function unstage(host: NodeHost, id: string, stagingPath: string): Promise<void> {
  using lock = host.lock(id);
  host.vanished.delete(id);
  const record = await host.records.read(lock.id);
  if (!record || !isPathOf(record, stagingPath)) {
    await requireNothing(host, id, stagingPath);
    // A driver that died while it removed the record left what lies beside it.
    if (!record) await host.records.remove(lock.id);
    return;
  }
  const published = await firstPublished(host, record);
  if (published)
    throw new DriverError(
      'in-use',
      `volume ${id} is still published at ${JSON.stringify(published.path)}; unpublish it first`,
    );
  await forget(host, await release(host, { ...record, targets: [] }));
}

const isPathOf = (record: NodeRecord, path: string): boolean =>
  record.stagingPath === path || record.stagingAsked === path;

/** Throws wrong-state for a mount without a record: this node lost its records. */
async function requireNothing(
  { mounter }: Pick<NodeHost, 'mounter'>,
  id: string,
  path: string,
): Promise<void> {
  const [mounted] = await mounter.at(path);
  if (mounted)
    throw new DriverError(
      'wrong-state',
      `${mounted.source} is mounted at ${JSON.stringify(path)}, but this node has no record that volume ${id} is staged there; unmount it by hand`,
    );
}
