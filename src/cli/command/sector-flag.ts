import { sectorBytesIn } from '../../linux/disk-head.ts';
import { sectorSizes, type SectorBytes } from '../../model/sectors.ts';
import { UsageError } from './config.ts';

/** The flag for the sector size that a disk was made for. */
export const sectorFlag = {
  takes: 'value',
  meaning: '512 or 4096: sector size that the disk was made for (default: as the disk itself says)',
} as const;

/** The value of the flag; undefined where it is not given. */
export function sectorsIn(flags: ReadonlyMap<string, string>): SectorBytes | undefined {
  const given = flags.get('sector-size');
  const found = sectorSizes.find((size) => String(size) === given);
  if (given === undefined || found) return found;
  throw new UsageError(`--sector-size must be ${sectorSizes.join(' or ')}, not "${given}"`);
}

/** How to find the sector size of the disk in a file: the flag, else the disk itself. */
export function sectorReader(
  flags: ReadonlyMap<string, string>,
): (path: string) => Promise<SectorBytes> {
  const given = sectorsIn(flags);
  return given ? () => Promise.resolve(given) : sectorBytesIn;
}
