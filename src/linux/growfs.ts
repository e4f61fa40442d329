import type { Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import { CommandFailed, complaintOf, explainFailure, type Run } from '../run/run.ts';

// e2fsck: 0 means nothing to repair, 1 repaired.
const isRepaired = ({ exitCode }: CommandFailed): boolean => exitCode === 1;

/** Grows file systems to the size of their device. */
export const growfs = (run: Run) => ({
  /** XFS, by its mount point; resolves to its size. */
  xfs: async (mountPoint: string): Promise<Bytes> =>
    parseXfsGrowfs(
      await explainFailure(
        `the xfs file system at ${mountPoint} could not be grown`,
        run(['xfs_growfs', '-d', mountPoint], 'write'),
      ),
    ),

  /** btrfs, by its mount point. */
  btrfs: async (mountPoint: string): Promise<void> => {
    const resize = ['btrfs', 'filesystem', 'resize', 'max', mountPoint] as const;
    const what = `the btrfs file system at ${mountPoint} could not be grown`;
    await explainFailure(what, run(resize, 'write'));
  },

  /** A mounted ext4, by its device. `not-permitted`: the kernel asks for CAP_SYS_RESOURCE. */
  ext4Online: async (device: string): Promise<'grown' | 'not-permitted'> => {
    try {
      await run(['resize2fs', device], 'write');
      return 'grown';
    } catch (error) {
      if (/permission denied|not permitted/i.test(complaintOf(error) ?? '')) return 'not-permitted';
      throw new DriverError(
        'command-failed',
        `the ext4 file system on ${device} could not be grown`,
        error,
      );
    }
  },

  /** An ext4 that is not mounted. */
  ext4Offline: (device: string): Promise<void> => growUnmounted(run, device),
});

/** Checks, then grows: resize2fs requires a full check first, which also replays the journal. */
async function growUnmounted(run: Run, device: string): Promise<void> {
  try {
    await run(['e2fsck', '-f', '-p', device], 'write', { isAnswer: isRepaired });
  } catch (error) {
    if (!(error instanceof CommandFailed && isRepaired(error)))
      throw new DriverError(
        'command-failed',
        `the ext4 file system on ${device} has damage that e2fsck does not mend by itself; mend it by hand`,
        error,
      );
  }
  const what = `the ext4 file system on ${device} could not be grown`;
  await explainFailure(what, run(['resize2fs', device], 'write'));
}

/** The size of an XFS after `xfs_growfs -d`, in bytes. Throws unreadable-output. */
export function parseXfsGrowfs(output: string): Bytes {
  const [, block, before] = /^data\s+=\s+bsize=(\d+)\s+blocks=(\d+)/m.exec(output) ?? [];
  const [, after] = /^data blocks changed from \d+ to (\d+)$/m.exec(output) ?? [];
  const blocks = after ?? before;
  if (block === undefined || blocks === undefined)
    throw new DriverError('unreadable-output', `xfs_growfs printed ${JSON.stringify(output)}`);
  return BigInt(block) * BigInt(blocks);
}
