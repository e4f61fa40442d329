import { MiB, showBytes, type Bytes } from '../../model/bytes.ts';
import { fsTypes, type Access, type FsType } from '../../model/capability.ts';
import { DriverError, invalid } from '../../model/fault.ts';
import type { CapacityRange } from '../../model/volume.ts';
import { deviceSize } from '../../linux/sysblock.ts';
import { superblock } from '../../linux/disk-head.ts';
import { loopsIn } from './device/loops.ts';
import { isSmall, reachOf } from './device/filesystem.ts';
import type { NodeRecord } from './state/records.ts';
import type { NodeHost } from './host.ts';
import { placeOf, type SeenVolume } from './device/places.ts';
import { readVolume, waitForSize } from './device/volume.ts';
import { endedFault, whyEnded } from './device/ended-by-kernel.ts';

// What a file system may leave unused at the end of its device: less than one block group of ext4, less than
// the smallest allocation group of XFS, or the last sectors of btrfs.
const slack: Readonly<Record<FsType, Bytes>> = { ext4: 128n * MiB, xfs: 16n * MiB, btrfs: MiB };

/** The size that a caller asks for, and the kind of use that it names. */
interface Wanted {
  readonly range?: CapacityRange | undefined;
  readonly kind?: Access['kind'] | undefined;
}

/**
 * Grows what this node shows of a volume to the size of its image: the devices, then the file system. Resolves to
 * that size.
 */
export async function expand(
  host: NodeHost,
  id: string,
  volumePath: string,
  { range, kind }: Wanted = {},
): Promise<Bytes> {
  using lock = host.lock(id);
  const place = await placeOf(host, lock.id, volumePath);
  if (kind !== undefined && kind !== place.record.kind)
    throw invalid(
      'volume_capability',
      `says ${kind}, but volume ${id} is used as ${place.record.kind} here`,
    );
  await host.background.settle(lock.id);
  const volume = await readVolume(host, lock.id);
  if (volume.key !== place.record.generation)
    throw new DriverError(
      'wrong-state',
      `volume ${id} got a new image since it was staged here; unstage it and stage it again`,
    );
  requireRange(id, volume.record.bytes, range);
  const { size: file } = await waitForSize(host, volume);
  const size = await refreshDevices(host, place, volume.record.bytes, file);
  if (place.record.kind === 'mount') await growFilesystem(host, place, size);
  return size;
}

function requireRange(id: string, bytes: Bytes, range: CapacityRange | undefined): void {
  const { requiredBytes, limitBytes } = range ?? { requiredBytes: 0n, limitBytes: 0n };
  const refuse = (why: string) =>
    new DriverError('size-out-of-range', `volume ${id} has ${showBytes(bytes)}, ${why}`);
  if (limitBytes > 0n && limitBytes < bytes)
    throw refuse(`more than the limit of ${showBytes(limitBytes)}; volumes never shrink`);
  if (requiredBytes > bytes)
    throw refuse(`less than ${showBytes(requiredBytes)}; expand it through the controller first`);
}

async function refreshDevices(
  { losetup }: Pick<NodeHost, 'losetup'>,
  { record, loop }: SeenVolume,
  bytes: Bytes,
  file: Bytes,
): Promise<Bytes> {
  let size = 0n;
  for (const each of loopsIn(record)) {
    const before = await deviceSize(each.path);
    // losetup would shrink the device under the file system without an error.
    if (before > file)
      throw new DriverError(
        'wrong-state',
        `${each.path} shows ${before} bytes of volume ${record.volumeId}, but its image has only ${file} now; its end is lost, restore a snapshot`,
      );
    const refreshed = await losetup.refresh(each);
    if (each.path === loop.path) size = refreshed;
    if (refreshed < bytes)
      throw new DriverError(
        'command-failed',
        `${each.path} shows ${refreshed} bytes of volume ${record.volumeId}, which has ${bytes}; try again`,
      );
  }
  return size;
}

async function growFilesystem(
  host: Pick<NodeHost, 'growfs' | 'mounter' | 'files'>,
  place: SeenVolume,
  size: Bytes,
): Promise<void> {
  const { record, loop, path } = place;
  const why = await whyEnded(host, record);
  if (why !== undefined) throw endedFault(record, why);
  const grown = await grow(host, place, size);
  const wanted = size - slack[typeOf(record)];
  if (grown > wanted) return;
  throw new DriverError(
    'command-failed',
    `the ${record.fsType} at ${JSON.stringify(path)} has ${grown} bytes after it was grown, and ${loop.path} has ${size}`,
  );
}

/** Resolves to the size of the file system afterwards. */
async function grow(
  { growfs }: Pick<NodeHost, 'growfs'>,
  place: SeenVolume,
  size: Bytes,
): Promise<Bytes> {
  const { record, loop, path } = place;
  const fsType = typeOf(record);
  // On the device, the superblock of a mounted XFS may be older than its state; those of ext4 and btrfs are not.
  if (fsType !== 'xfs' && !(await isSmall(loop.path, size))) return size;
  if (record.readonly) throw later(record, 'is mounted read-only');
  switch (fsType) {
    case 'xfs':
      return growfs.xfs(path);
    case 'btrfs':
      await growfs.btrfs(path);
      break;
    case 'ext4':
      return growExt4(growfs, record, loop.path, size);
  }
  return (await superblock(loop.path, fsType))?.bytes ?? 0n;
}

async function growExt4(
  growfs: NodeHost['growfs'],
  record: NodeRecord,
  device: string,
  size: Bytes,
): Promise<Bytes> {
  const found = await superblock(device, 'ext4');
  const reach = found && reachOf(found, size);
  const answer = await growfs.ext4Online(device, reach);
  const after = await superblock(device, 'ext4');
  if (answer === 'not-permitted')
    throw later(record, after?.wantsCheck === true ? damaged : unpermitted);
  return reach === undefined ? (after?.bytes ?? 0n) : size;
}

const unpermitted = 'cannot be grown while mounted (the kernel asks for CAP_SYS_RESOURCE)';
const damaged =
  'has found errors, and the kernel grows no such file system while it is mounted; restart its pods, and e2fsck repairs it first';

const typeOf = ({ fsType }: NodeRecord): FsType =>
  fsTypes.find((each) => each === fsType) ?? 'ext4';

const later = ({ fsType, volumeId }: NodeRecord, why: string): DriverError =>
  new DriverError(
    'wrong-state',
    `the ${fsType} of volume ${volumeId} ${why}; its device has the new size, and it is grown when the volume is staged next`,
  );
