import { DriverError } from '../../model/fault.ts';
import type { NodeRecord, Target } from './state/records.ts';
import type { NodeHost } from './host.ts';
import { lookAt, resolvePath } from './state/paths.ts';
import { isOfVolume } from './device/places.ts';

const field = 'target_path';

/** Unmounts a volume from a target and removes the target. Ends the same from every interrupted state. */
export async function unpublish(host: NodeHost, id: string, targetPath: string): Promise<void> {
  using lock = host.lock(id);
  const record = await host.records.read(lock.id);
  const target = record?.targets.find(({ asked, path }) => [asked, path].includes(targetPath));
  const path = target?.path ?? (await targetPathOf(host, targetPath));
  if (path === undefined) return;
  if (!target) await requireOurs(host, id, record, path);
  await host.mounter.unmount(path);
  await removePlace(host, path);
  if (record && target) await drop(host, record, target);
}

/** The resolved path; undefined when the directory above is missing, so that nothing can be left there. */
async function targetPathOf(
  { kubeletDirectory }: Pick<NodeHost, 'kubeletDirectory'>,
  path: string,
): Promise<string | undefined> {
  try {
    return await resolvePath(field, path, kubeletDirectory);
  } catch (error) {
    if (error instanceof DriverError && error.fault.kind === 'wrong-state') return undefined;
    throw error;
  }
}

/** Throws wrong-state for a mount that is not of this volume: without a record of the target, it stays. */
async function requireOurs(
  { mounter }: Pick<NodeHost, 'mounter'>,
  id: string,
  record: NodeRecord | undefined,
  path: string,
): Promise<void> {
  for (const mount of await mounter.at(path))
    if (!(await isOfVolume(record, mount)))
      throw new DriverError(
        'wrong-state',
        `${mount.source} is mounted at ${JSON.stringify(path)}, and this node has no record that volume ${id} is published there; unmount it by hand`,
      );
}

/** Removes the directory or file at a target. Throws wrong-state when it holds data. */
export async function removePlace({ files }: Pick<NodeHost, 'files'>, path: string): Promise<void> {
  const found = await lookAt(files, field, path);
  if (!found) return;
  const refuse = (why: string, cause?: unknown) =>
    new DriverError('wrong-state', `${field} ${JSON.stringify(path)} ${why}; move it away`, cause);
  if (found.kind === 'file' && found.size === 0n) return files.unlink(path);
  if (found.kind !== 'directory') throw refuse('is not what the driver made there');
  try {
    await files.removeDirectory(path);
  } catch (error) {
    throw refuse('holds files that are not on the volume', error);
  }
}

/** Removes a target from the record, after its own device, if it has one, is detached. */
export async function drop(
  { losetup, records }: Pick<NodeHost, 'losetup' | 'records'>,
  record: NodeRecord,
  target: Target,
): Promise<void> {
  if (target.loop) await losetup.detach(target.loop);
  const targets = record.targets.filter(({ path }) => path !== target.path);
  await records.write({ ...record, targets });
}
