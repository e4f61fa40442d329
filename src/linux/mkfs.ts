import type { FsType } from '../model/capability.ts';
import { MiB, sector, showBytes } from '../model/bytes.ts';
import type { Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import type { Run } from '../run/run.ts';
import { done } from './command.ts';

/** The smallest device each file system can be made on. */
const smallest: Readonly<Record<FsType, Bytes>> = { ext4: MiB, xfs: 300n * MiB };

/** Makes file systems. The caller answers for the device being free to overwrite. */
export const mkfs =
  (run: Run) =>
  async (device: string, type: FsType, size: Bytes, again: boolean): Promise<void> => {
    if (size < smallest[type])
      throw new DriverError(
        'wrong-state',
        `${showBytes(size)} is too small for ${type}, which needs ${showBytes(smallest[type])}; make the volume larger or choose another file system`,
      );
    await done(
      `${type} could not be made on ${device}`,
      run(command(device, type, again), 'write'),
    );
  };

/** `again`: an earlier attempt was cut short, so its remains are there and the device is not all zeros. */
function command(device: string, type: FsType, again: boolean): [string, ...string[]] {
  switch (type) {
    case 'ext4': {
      // A journal may stay as it is only where everything reads as zeros.
      const lazy = `nodiscard,lazy_itable_init=1,lazy_journal_init=${again ? 0 : 1}`;
      const features = ['-O', 'metadata_csum_seed', '-b', String(sector)];
      return ['mkfs.ext4', '-q', ...(again ? ['-F'] : []), '-m0', '-E', lazy, ...features, device];
    }
    case 'xfs':
      return ['mkfs.xfs', '-q', ...(again ? ['-f'] : []), '-K', device];
  }
}
