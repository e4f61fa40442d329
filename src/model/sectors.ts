/** How much of an image `sectorBytesOf` reads: up to where an ISO image says what it is. */
export const headBytes = 36 * 1024;

/** The sector sizes that disks are made for. */
export const sectorSizes = [512, 4096] as const;

/** A sector size. */
export type SectorBytes = (typeof sectorSizes)[number];

/** The sectors of our loop devices, but of volumes whose records say otherwise. */
export const usualSectors = 4096;

const large = 4096;

/**
 * The sector size that an image was made for: what its partition table counts in, or the largest that its file
 * system can be read with. 4096 for content that does not say, since most content works with any.
 */
export function sectorBytesOf(head: Uint8Array): SectorBytes {
  const whole = new Uint8Array(headBytes);
  whole.set(head.subarray(0, headBytes));
  const view = new DataView(whole.buffer);
  return tableSectors(view) ?? filesystemSectors(view) ?? large;
}

function tableSectors(view: DataView): SectorBytes | undefined {
  // Entries of a table in small sectors overwrite the header of one in large sectors: where that is, it is newer.
  if (hasText(view, 4096, 'EFI PART')) return large;
  if (hasText(view, 512, 'EFI PART')) return 512;
  const isSigned = view.getUint16(510) === 0x55aa;
  if (!isSigned) return undefined;
  return bootSectors(view) ?? dosTableSectors(view);
}

/** The sector size that the boot sector of FAT, exFAT or NTFS states; undefined for other boot code. */
function bootSectors(view: DataView): SectorBytes | undefined {
  if (hasText(view, 3, 'EXFAT   ')) return view.getUint8(108) >= 12 ? large : 512;
  const stated = view.getUint16(11, true);
  const jumps = [0xeb, 0xe9].includes(view.getUint8(0));
  const media = view.getUint8(21);
  if (!jumps || media < 0xf0 || ![512, 1024, 2048, 4096].includes(stated)) return undefined;
  return stated === large ? large : 512;
}

/**
 * A DOS partition table does not say what it counts in. All tools begin the first partition 1 MiB in, which
 * is 256 sectors of 4096; anything else was made when all disks had sectors of 512.
 */
function dosTableSectors(view: DataView): SectorBytes {
  const starts = [446, 462, 478, 494].flatMap((at) =>
    view.getUint8(at + 4) === 0 ? [] : [view.getUint32(at + 8, true)],
  );
  return Math.min(...starts) === 256 ? large : 512;
}

function filesystemSectors(view: DataView): SectorBytes | undefined {
  if (hasText(view, 0, 'XFSB')) return view.getUint16(102) === large ? large : 512;
  // Blocks of 1 or 2 KiB cannot be read from a device with larger sectors.
  if (view.getUint16(1024 + 56) === 0x53ef)
    return view.getUint32(1024 + 24, true) >= 2 ? large : 512;
  return isOfUnknownSectors(view) ? 512 : undefined;
}

/**
 * An ISO image has blocks of 2 KiB. LVM, LUKS and a RAID member hold a file system that we do not search for:
 * one made for large sectors can be read with small ones, not the other way round.
 */
const isOfUnknownSectors = (view: DataView): boolean =>
  hasText(view, 32 * 1024 + 1, 'CD001') ||
  [0, 512, 1024, 1536].some((at) => hasText(view, at, 'LABELONE')) ||
  hasText(view, 0, 'LUKS\xba\xbe') ||
  [0, 4096].some((at) => view.getUint32(at, true) === 0xa92b4efc);

const hasText = (view: DataView, at: number, text: string): boolean =>
  Array.from(text, (_, n) => view.getUint8(at + n)).every((byte, n) => byte === text.charCodeAt(n));

interface OfSectors {
  readonly sectorBytes?: number | undefined;
}

/** The sector size that a clone inherits from its file, where that has a size of its own. */
export const sectorsOf = ({ sectorBytes }: OfSectors): { readonly sectorBytes?: number } =>
  sectorBytes === undefined ? {} : { sectorBytes };

/** What a record says of an image with such sectors: nothing, where they are those of our loop devices anyway. */
export const asRecorded = (bytes: SectorBytes): { readonly sectorBytes?: number } =>
  sectorsOf({ sectorBytes: bytes === usualSectors ? undefined : bytes });

/** The sector size that a volume's device must have. */
export const sectorBytesFor = ({ sectorBytes }: OfSectors): number => sectorBytes ?? usualSectors;
