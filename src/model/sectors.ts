/** As much of an image as `sectorBytesOf` looks at. */
export const headBytes = 8192;

type SectorBytes = 512 | 4096;

/**
 * The sector size that an image was made for: what its partition table or file system counts in. 4096 for
 * whatever does not say, since most content does not care and all our loop devices have it.
 */
export function sectorBytesOf(head: Uint8Array): SectorBytes {
  const whole = new Uint8Array(headBytes);
  whole.set(head.subarray(0, headBytes));
  const view = new DataView(whole.buffer);
  return tableSectors(view) ?? filesystemSectors(view) ?? 4096;
}

function tableSectors(view: DataView): SectorBytes | undefined {
  if (hasText(view, 4096, 'EFI PART')) return 4096;
  return hasText(view, 512, 'EFI PART') ? 512 : undefined;
}

function filesystemSectors(view: DataView): SectorBytes | undefined {
  if (hasText(view, 0, 'XFSB')) return view.getUint16(102) === 4096 ? 4096 : 512;
  // Blocks of 1 or 2 KiB cannot be read from a device with larger sectors.
  if (view.getUint16(1024 + 56) === 0x53ef)
    return view.getUint32(1024 + 24, true) >= 2 ? 4096 : 512;
  // A DOS partition table, or the boot sector of FAT or NTFS.
  return view.getUint16(510) === 0x55aa ? 512 : undefined;
}

const hasText = (view: DataView, at: number, text: string): boolean =>
  Array.from(text, (_, n) => view.getUint8(at + n)).every((byte, n) => byte === text.charCodeAt(n));
