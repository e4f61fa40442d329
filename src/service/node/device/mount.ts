import { fsTypeOf, type FsType } from '../../../model/capability.ts';
import type { Loop } from '../../../linux/loop.ts';
import {
  ensureFilesystem,
  knownFilesystem,
  mountFilesystem,
  type MountAccess,
  type MountAsk,
} from './filesystem.ts';
import type { NodeHost } from '../host.ts';
import type { NodeVolume } from './volume.ts';

/** A device of the volume, and where and how to mount it. */
export interface MountHow extends Pick<MountAsk, 'path' | 'readonly' | 'mayGrow'> {
  readonly loop: Loop;
}

/**
 * Mounts a volume, and formats it first if it has no file system yet. The device is held open meanwhile: one
 * that is detached could get another file, and the driver would write into another tenant's image.
 */
export const mountVolume = (
  host: NodeHost,
  volume: NodeVolume,
  access: MountAccess,
  { loop, ...how }: MountHow,
): Promise<FsType> =>
  host.losetup.whileHeld(loop, async () => {
    const { path: device } = loop;
    const fsType = await ensureFilesystem(host, volume, access, device);
    const asked = fsTypeOf(access, volume.record.options.fsType);
    if (fsType !== asked)
      host.log.info(
        { volume: volume.id, fsType, asked },
        'mounting a volume as the file system that it has, which is not the type that was asked for',
      );
    const { discard, privilegedFiles } = volume.record.options;
    const isOurs = knownFilesystem(volume.record) !== undefined;
    const { flags } = access;
    const options = { flags, discard, privilegedFiles };
    await mountFilesystem(host, { ...how, ...options, device, fsType, isOurs });
    return fsType;
  });
