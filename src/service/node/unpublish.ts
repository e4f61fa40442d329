import { DriverError } from '../../model/fault.ts';
import type { NodeRecord, Target } from './state/records.ts';
import type { NodeHost } from './host.ts';
import { lookAt, resolvePath } from './state/paths.ts';
import { isOfVolume } from './device/places.ts';

const field = 'target_path';

/** Takes a volume from a pod and removes the target. Comes to the same end from every half-done state. */
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

/** Undefined when not even the directory above is there, so nothing can be left. */
async function targetPathOf(host: NodeHost, path: string): Promise<string | undefined> {
  try {
    return await resolvePath(field, path, host.kubeletDirectory);
  } catch (error) {
    if (error instanceof DriverError && error.fault.kind === 'wrong-state') return undefined;
    throw error;
  }
}

/** Without a record of the target, only what comes from a device of this volume may be unmounted there. */
async function requireOurs(
  host: NodeHost,
  id: string,
  record: NodeRecord | undefined,
  path: string,
): Promise<void> {
  for (const mount of await host.mounter.at(path))
    if (!(await isOfVolume(record, mount)))
      throw new DriverError(
        'wrong-state',
        `${mount.source} is mounted at ${JSON.stringify(path)}, and this node has no record that volume ${id} is published there; unmount it by hand`,
      );
}

/** Directory or file, whichever is there: but never with somebody's data in it. */
export async function removePlace(host: NodeHost, path: string): Promise<void> {
  const found = await lookAt(host.files, field, path);
  if (!found) return;
  const refuse = (why: string, cause?: unknown) =>
    new DriverError('wrong-state', `${field} ${JSON.stringify(path)} ${why}; move it away`, cause);
  if (found.kind === 'file' && found.size === 0n) return host.files.unlink(path);
  if (found.kind !== 'directory') throw refuse('is not what the driver made there');
  try {
    await host.files.removeDirectory(path);
  } catch (error) {
    throw refuse('holds files that are not on the volume', error);
  }
}

/** Takes a target out of the record, and the device that it had of its own away. */
export async function drop(host: NodeHost, record: NodeRecord, target: Target): Promise<void> {
  if (target.loop) await host.losetup.detach(target.loop);
  const targets = record.targets.filter(({ path }) => path !== target.path);
  await host.records.write({ ...record, targets });
}
