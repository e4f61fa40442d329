import { DriverError } from '../../model/fault.ts';
import { deviceSize } from '../../linux/sysblock.ts';
import type { Space } from '../../run/files.ts';
import type { VolumeUsage } from '../api.ts';
import type { NodeHost } from './host.ts';
import { placeOf } from './device/places.ts';

/** How full a volume is: bytes and inodes of a file system, the size alone of a device. */
export async function stats(
  host: NodeHost,
  id: string,
  volumePath: string,
): Promise<readonly VolumeUsage[]> {
  const { record, path, loop } = await placeOf(host, id, volumePath);
  if (record.kind === 'block') return [{ unit: 'bytes', total: await deviceSize(loop.path) }];
  const { total, used, available, inodes, inodesFree } = await spaceInTime(host, id, path);
  const bytes = { unit: 'bytes', total, used, available } as const;
  // btrfs makes inodes as it goes and has no count of them.
  if (inodes === 0n) return [bytes];
  return [
    bytes,
    { unit: 'inodes', total: inodes, used: inodes - inodesFree, available: inodesFree },
  ];
}

/**
 * statfs(2) on a file system whose storage hangs does not return; the caller shall not hang with it. Each such
 * call holds a thread, so later callers wait for the one that is under way.
 */
async function spaceInTime(host: NodeHost, id: string, path: string): Promise<Space> {
  const { statfsMs } = host.limits;
  const late = host.clock.sleep(statfsMs).then(() => undefined);
  const looking = host.looks.get(path) ?? host.files.space(path);
  host.looks.set(path, looking);
  const forget = () => host.looks.delete(path);
  looking.then(forget, forget);
  const space = await Promise.race([looking, late]);
  if (space) return space;
  throw new DriverError(
    'unavailable',
    `volume ${id} at ${JSON.stringify(path)} does not answer within ${statfsMs} ms; is the file system under it healthy?`,
  );
}
