import { sectorBytesIn } from '../../linux/disk-head.ts';
import { sectorSizes, type SectorBytes } from '../../model/sectors.ts';
import { UsageError } from './config.ts';

/** The flag by which a human says what a disk was made for. */
export const sectorFlag = {
  takes: 'value',
  meaning: '512 or 4096: what the disk was made for, where it does not say so itself',
} as const;

/** What the flag says; undefined where it was not given. */
export function sectorsIn(flags: ReadonlyMap<string, string>): SectorBytes | undefined {
  const told = flags.get('sector-size');
  const found = sectorSizes.find((size) => String(size) === told);
  if (told === undefined || found) return found;
  throw new UsageError(`--sector-size must be ${sectorSizes.join(' or ')}, not "${told}"`);
}

/** How to find out what the disk in a file was made for: the flag, else the disk itself. */
export function sectorReader(
  flags: ReadonlyMap<string, string>,
): (path: string) => Promise<SectorBytes> {
  const told = sectorsIn(flags);
  return told ? () => Promise.resolve(told) : sectorBytesIn;
}
