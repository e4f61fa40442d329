import { lstat, readFile, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Bytes } from '../model/bytes.ts';
import { errnoOf } from '../run/files.ts';

// /sys counts in these units, whatever the sector size of the device is.
const sysfsUnit = 512n;

/** A loop device with a file, as /sys shows it. */
export interface LoopState {
  readonly size: Bytes;
  readonly readonly: boolean;
  readonly directIo: boolean;
  readonly sectorBytes: number;
  /** It was detached while a process had it open, and ends when the last process closes it. */
  readonly isLeaving: boolean;
  /** Changes with each file that is attached; '' on kernels before 5.15. */
  readonly diskseq: string;
  /** Follows renames; ends in ` (deleted)` after an unlink. */
  readonly backingFile: string;
}

/**
 * True when the file of a device has the name of this one, or had it until it was removed. Only the last component is
 * compared: the kernel may show a shorter path.
 */
export const hasNameOf = (state: LoopState | undefined, file: string): boolean =>
  state !== undefined && basename(nameIn(state)) === basename(file);

/** The same with the directory of the file, for names that are used more than once. */
export const hasTailOf = (state: LoopState, file: string): boolean =>
  hasNameOf(state, file) && basename(dirname(nameIn(state))) === basename(dirname(file));

const nameIn = ({ backingFile }: LoopState): string => backingFile.replace(/ \(deleted\)$/, '');

const attribute = async (device: string, name: string): Promise<string> =>
  (await readFile(`/sys/block/${basename(device)}/${name}`, 'utf8')).replace(/\n$/, '');

/** Size of a block device by its name under /dev. */
export const deviceSize = async (device: string): Promise<Bytes> =>
  BigInt(await attribute(device, 'size')) * sysfsUnit;

/** `major:minor` of a block device by its name under /dev. */
export const deviceNumber = (device: string): Promise<string> => attribute(device, 'dev');

/** `major:minor` of the file system that a device node is in, as mountinfo writes it; '' when it has none. */
export async function nodeIn(device: string): Promise<string> {
  try {
    return majorMinor((await lstat(device, { bigint: true })).dev);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}

/** `major:minor` of the block device whose node a path leads to, under any name; undefined where there is none. */
export const deviceAt = (path: string): Promise<string | undefined> =>
  stat(path, { bigint: true }).then(
    (found) => (found.isBlockDevice() ? majorMinor(found.rdev) : undefined),
    () => undefined,
  );

/** A device number as /sys and mountinfo write it; the C library packs both parts into one number. */
function majorMinor(dev: bigint): string {
  const major = ((dev >> 32n) & 0xfffff000n) | ((dev >> 8n) & 0xfffn);
  const minor = ((dev >> 12n) & 0xffffff00n) | (dev & 0xffn);
  return `${major}:${minor}`;
}

/** The state of `/dev/loopN`; undefined when it has no file. */
export async function loopState(device: string): Promise<LoopState | undefined> {
  try {
    const [backingFile, directIo, autoclear, readonly, sectorBytes, size, diskseq] =
      await Promise.all([
        attribute(device, 'loop/backing_file'),
        attribute(device, 'loop/dio'),
        attribute(device, 'loop/autoclear'),
        attribute(device, 'ro'),
        attribute(device, 'queue/logical_block_size'),
        deviceSize(device),
        attribute(device, 'diskseq').catch(() => ''),
      ]);
    return {
      size,
      readonly: readonly === '1',
      directIo: directIo === '1',
      sectorBytes: Number(sectorBytes),
      isLeaving: autoclear === '1',
      diskseq,
      backingFile,
    };
  } catch (error) {
    // A device that is being detached answers ENXIO, or its files in /sys vanish between two reads.
    if (['ENOENT', 'ENXIO', 'ENODEV'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
