import { usualSectors, type SectorBytes } from './sectors.ts';

interface OfSectors {
  readonly sectorBytes?: number | undefined;
}

/** The sector size that whatever is made from a file inherits, where it has one of its own. */
export const sectorsOf = ({ sectorBytes }: OfSectors): { readonly sectorBytes?: number } =>
  sectorBytes === undefined ? {} : { sectorBytes };

/** What a record says of an image with such sectors: nothing, where they are those of our loop devices anyway. */
export const asRecorded = (bytes: SectorBytes): { readonly sectorBytes?: number } =>
  sectorsOf({ sectorBytes: bytes === usualSectors ? undefined : bytes });

/** The sectors that a volume's device is to have. */
export const sectorBytesFor = ({ sectorBytes }: OfSectors): number => sectorBytes ?? usualSectors;
