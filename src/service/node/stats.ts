import { DriverError } from '../../model/fault.ts';
import { deviceSize } from '../../linux/sysblock.ts';
import type { Space } from '../../run/files.ts';
import type { VolumeUsage } from '../api.ts';
import type { NodeHost } from './host.ts';
import { placeOf } from './device/places.ts';

/** How full a volume is: bytes and inodes of a file system, only the size of a raw device. */
export async function stats(
  host: NodeHost,
  id: string,
  volumePath: string,
): Promise<readonly VolumeUsage[]> {
  const { record, path, loop } = await placeOf(host, id, volumePath);
  if (record.kind === 'block') return [{ unit: 'bytes', total: await deviceSize(loop.path) }];
  const { total, used, available, inodes, inodesFree } = await spaceInTime(host, id, path);
  const bytes = { unit: 'bytes', total, used, available } as const;
  // btrfs makes inodes when it needs them and has no count of them.
  if (inodes === 0n) return [bytes];
  return [
    bytes,
    { unit: 'inodes', total: inodes, used: inodes - inodesFree, available: inodesFree },
  ];
}

/**
 * Throws unavailable when statfs(2) does not return in time, because the storage under the file system hangs.
 * Each such call holds a thread, so later callers wait for the pending one.
 */
async function spaceInTime(
  {
    limits,
    clock,
    files,
    pendingSpace,
  }: Pick<NodeHost, 'limits' | 'clock' | 'files' | 'pendingSpace'>,
  id: string,
  path: string,
): Promise<Space> {
  const { statfsMs } = limits;
  const late = clock.sleep(statfsMs).then(() => undefined);
  const pending = pendingSpace.get(path) ?? files.space(path);
  pendingSpace.set(path, pending);
  const forget = () => pendingSpace.delete(path);
  pending.then(forget, forget);
  const space = await Promise.race([pending, late]);
  if (space) return space;
  throw new DriverError(
    'unavailable',
    `volume ${id} at ${JSON.stringify(path)} does not answer within ${statfsMs} ms; is the file system under it healthy?`,
  );
}
