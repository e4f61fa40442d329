import { KiB, MiB, type Bytes } from '../model/bytes.ts';
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

  /**
   * A mounted ext4, by its device. `not-permitted`: the kernel asks for CAP_SYS_RESOURCE, or the file system has found
   * errors.
   */
  ext4Online: async (device: string, most?: Bytes): Promise<'grown' | 'not-permitted'> => {
    try {
      // It asks the kernel to grow what is mounted, for which it needs CAP_SYS_RESOURCE and the mount point.
      await run(['resize2fs', device, ...sizeWord(most)], 'write', { rights: 'all' });
      return 'grown';
    } catch (error) {
      if (/permission denied|not permitted/i.test(complaintOf(error) ?? '')) return 'not-permitted';
      throw new DriverError(
        'command-failed',
        `the ext4 file system on ${device} could not be grown; the log of this node has the words of resize2fs`,
        error,
      );
    }
  },

  /** An ext4 that is not mounted. */
  ext4Offline: (device: string, how: Ext4Growth = {}): Promise<void> =>
    growUnmounted(run, device, how),
});

/** How an ext4 that is not mounted is grown. */
export interface Ext4Growth {
  /** Not further than this; undefined: to the end of the device. */
  readonly mostBytes?: Bytes | undefined;
  /** `missing`: it has none, because it was made in a device too small for one. */
  readonly journal?: 'missing' | undefined;
}

// The size is in units of 1024 bytes. Without a size, resize2fs takes that of the device.
const sizeWord = (most: Bytes | undefined): readonly string[] =>
  most === undefined ? [] : [`${most / KiB}K`];

/** Checks, then grows: resize2fs requires a full check first, which also replays the journal. */
async function growUnmounted(
  run: Run,
  device: string,
  { mostBytes, journal }: Ext4Growth,
): Promise<void> {
  try {
    await run(['e2fsck', '-f', '-p', device], 'write', { isAnswer: isRepaired, device });
  } catch (error) {
    if (!(error instanceof CommandFailed && isRepaired(error))) throw notChecked(device, error);
  }
  const what = `the ext4 file system on ${device} could not be grown; the log of this node has the words of resize2fs`;
  await explainFailure(
    what,
    run(['resize2fs', device, ...sizeWord(mostBytes)], 'write', { device }),
  );
  if (journal === undefined) return;
  const added = `the ext4 file system on ${device} could not be given a journal`;
  await explainFailure(added, run(['tune2fs', '-O', 'has_journal', device], 'write', { device }));
}

function notChecked(device: string, error: unknown): DriverError {
  const hint = error instanceof CommandFailed ? error.hint : undefined;
  return new DriverError(
    'command-failed',
    hint === undefined
      ? `the ext4 file system on ${device} has damage that e2fsck does not mend by itself; mend it by hand`
      : `the ext4 file system on ${device} could not be checked: ${hint}`,
    error,
  );
}

/** The least size in which mkfs.ext4 and tune2fs make a journal. */
export const journalFrom: Bytes = 8n * MiB;

/** The size of an XFS after `xfs_growfs -d`, in bytes. Throws unreadable-output. */
export function parseXfsGrowfs(output: string): Bytes {
  const [, block, before] = /^data\s+=\s+bsize=(\d{1,6})\s+blocks=(\d{1,13})\b/m.exec(output) ?? [];
  const [, after] = /^data blocks changed from \d{1,13} to (\d{1,13})$/m.exec(output) ?? [];
  const blocks = after ?? before;
  if (block === undefined || blocks === undefined)
    throw new DriverError('unreadable-output', `xfs_growfs printed ${JSON.stringify(output)}`);
  return BigInt(block) * BigInt(blocks);
}
