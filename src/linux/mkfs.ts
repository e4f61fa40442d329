import type { FsType } from '../model/capability.ts';
import { GiB, sector, showBytes, type Bytes } from '../model/bytes.ts';
import { DriverError } from '../model/fault.ts';
import { smallestFor } from '../model/sizing.ts';
import { explainFailure, type Run } from '../run/run.ts';

/** What a file system is made like. */
export interface Making {
  readonly size: Bytes;
  /** An earlier attempt was cut short, so its remains are there and the device is not all zeros. */
  readonly again: boolean;
  readonly label?: string | undefined;
  /** Pairs of an option and its value, of those that a class may use. */
  readonly options?: readonly string[] | undefined;
}

/** Makes file systems. The caller answers for the device being free to overwrite. */
export const mkfs =
  (run: Run) =>
  async (device: string, type: FsType, making: Making): Promise<void> => {
    const { size, label } = making;
    if (size < smallestFor[type])
      throw new DriverError(
        'wrong-state',
        `${showBytes(size)} is too small for ${type}, which needs ${showBytes(smallestFor[type])}; make the volume larger or choose another file system`,
      );
    const named = label === undefined ? [] : ['-L', label];
    await explainFailure(
      `${type} could not be made on ${device}`,
      run([`mkfs.${type}`, '-q', ...words[type](making), ...named, device], 'write'),
    );
  };

const words: Readonly<Record<FsType, (making: Making) => readonly string[]>> = {
  ext4: ({ again, options = [] }) => [
    ...(again ? ['-F'] : []),
    ...['-m', '0', '-b', String(sector)],
    // Left to itself, it goes on writing after it found that it is damaged.
    ...['-e', 'remount-ro'],
    // Given twice, these take the last for all; so what a class adds goes into the same word. A journal
    // may stay as it is only where everything reads as zeros, whatever the class says.
    ...['-E', list('nodiscard,lazy_itable_init=1,lazy_journal_init=1', options, '-E', again)],
    ...['-O', list('metadata_csum_seed', options, '-O', false)],
    ...without(options, '-E', '-O'),
  ],
  xfs: ({ again, size, options = [] }) => [
    ...(again ? ['-f'] : []),
    '-K',
    // Left to itself, mkfs allocates a log of up to 2 GiB for a large device.
    ...(size > logGrowsFrom && !logSizeIn(options) ? ['-l', 'size=64m'] : []),
    ...options,
  ],
  btrfs: ({ again, options = [] }) => [
    ...(again ? ['-f'] : []),
    ...['-K', '-s', String(sector)],
    ...options,
  ],
};

// Up to here mkfs.xfs makes a log of 64 MiB by itself.
const logGrowsFrom = 128n * GiB;

const logSizeIn = (options: readonly string[]): boolean =>
  valuesOf(options, '-l').some((value) => value.includes('size='));

const list = (
  ours: string,
  options: readonly string[],
  option: string,
  freshJournal: boolean,
): string =>
  [ours, ...valuesOf(options, option), ...(freshJournal ? ['lazy_journal_init=0'] : [])].join(',');

const valuesOf = (options: readonly string[], option: string): readonly string[] =>
  options.filter((_, index) => index % 2 === 1 && options[index - 1] === option);

const without = (options: readonly string[], ...taken: readonly string[]): readonly string[] =>
  options.filter((_, index) => !taken.includes(options[index - (index % 2)] ?? ''));
