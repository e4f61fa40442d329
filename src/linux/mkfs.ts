import type { FsType } from '../model/capability.ts';
import { GiB, sector, showBytes, TiB, type Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import { smallestMade } from '../model/sizing.ts';
import { explainFailure, type Run } from '../run/run.ts';

/** How to make a file system. */
export interface Making {
  readonly size: Bytes;
  /** An earlier attempt was interrupted, so the device holds what that attempt wrote. */
  readonly again: boolean;
  readonly label?: string | undefined;
  /** Pairs of an option and its value, checked against those that a class may use. */
  readonly options?: readonly string[] | undefined;
}

/** Makes file systems. The caller makes sure that the device may be overwritten. */
export const mkfs =
  (run: Run) =>
  async (device: string, type: FsType, making: Making): Promise<void> => {
    const { size, label } = making;
    if (size < smallestMade[type])
      throw new DriverError(
        'wrong-state',
        `${showBytes(size)} is too small for ${type}, which needs ${showBytes(smallestMade[type])}; make the volume larger or choose another file system`,
      );
    const named = label === undefined ? [] : ['-L', label];
    await explainFailure(
      `${type} could not be made on ${device}`,
      run([`mkfs.${type}`, '-q', ...words[type](making), ...named, device], 'write', { device }),
    );
  };

const ext4Extended = ['nodiscard', 'lazy_itable_init=1', 'lazy_journal_init=1'];

// Whatever the class says: a journal may stay unwritten only on a device that reads as zeros.
const zeroJournal = 'lazy_journal_init=0';

const words: Readonly<Record<FsType, (making: Making) => readonly string[]>> = {
  ext4: ({ again, size, options = [] }) => [
    ...(again ? ['-F'] : []),
    '-m',
    '0',
    '-b',
    String(sector),
    // By default ext4 continues to write after it found that it is damaged.
    '-e',
    'remount-ro',
    // mkfs uses only the last -E and the last -O, so the options of the class join those of the driver in one word.
    '-E',
    [
      ...ext4Extended,
      ...roomToGrow(size),
      ...valuesOf(options, '-E'),
      ...(again ? [zeroJournal] : []),
    ].join(','),
    '-O',
    ['metadata_csum_seed', ...valuesOf(options, '-O')].join(','),
    ...without(options, '-E', '-O'),
  ],
  xfs: ({ again, size, options = [] }) => [
    ...(again ? ['-f'] : []),
    '-K',
    // By default mkfs allocates a log of up to 2 GiB for a large device.
    ...(size > logGrowsFrom && !logSizeIn(options) ? ['-l', 'size=64m'] : []),
    ...options,
  ],
  btrfs: ({ again, options = [] }) => [
    ...(again ? ['-f'] : []),
    '-K',
    '-s',
    String(sector),
    ...options,
  ],
};

/**
 * Blocks for the descriptors of more groups, since an ext4 can only grow as far as those reach (docs/resize.md): to
 * 8 TiB, but in less than 128 MiB only to 65,536 times its size, so that they take no more than a 30th of it. From 8 GiB
 * on mkfs reserves as many by itself.
 */
const roomToGrow = (size: Bytes): readonly string[] => {
  const most = size * 65_536n < 8n * TiB ? size * 65_536n : 8n * TiB;
  return size < 8n * GiB ? [`resize=${most / sector}`] : [];
};

// Up to this size mkfs.xfs makes a log of 64 MiB by default.
const logGrowsFrom = 128n * GiB;

const logSizeIn = (options: readonly string[]): boolean =>
  valuesOf(options, '-l').some((value) => value.includes('size='));

const valuesOf = (options: readonly string[], option: string): readonly string[] =>
  options.filter((_, index) => index % 2 === 1 && options[index - 1] === option);

const without = (options: readonly string[], ...taken: readonly string[]): readonly string[] =>
  options.filter((_, index) => !taken.includes(options[index - (index % 2)] ?? ''));
