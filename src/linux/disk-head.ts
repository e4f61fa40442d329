import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Bytes } from '../model/bytes.ts';
import type { FsType } from '../model/capability.ts';
import { headBytes, sectorBytesOf, type SectorBytes } from '../model/sectors.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

const smallBytes = 4096;
// btrfs keeps its superblock this far in.
const btrfsAt = 64 * 1024;
const probedBytes = btrfsAt + smallBytes;
const ext4At = 1024;
const ext4Magic = 0xef53;
const ext464Bit = 0x80;
const ext4FoundErrors = 0x2;

/** What the superblock on a device says of its file system. */
export interface Superblock {
  readonly type: FsType;
  readonly bytes: Bytes;
  /** An ext4 that found errors while it was mounted: e2fsck must repair it before it is written to again. */
  readonly wantsCheck?: true;
}

/** Reads the superblock of a device or image; undefined when it has no file system that the driver mounts. */
export async function superblock(device: string): Promise<Superblock | undefined> {
  const handle = await open(device, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(probedBytes), 0, probedBytes, 0);
    return parseSuperblock(buffer.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/** The superblock in the first bytes of a device: 4096 of them, or 68 KiB to find btrfs too. */
export function parseSuperblock(head: Buffer): Superblock | undefined {
  if (head.length < smallBytes) return undefined;
  if (head.toString('latin1', 0, 4) === 'XFSB')
    return { type: 'xfs', bytes: BigInt(head.readUInt32BE(4)) * head.readBigUInt64BE(8) };
  if (head.toString('latin1', btrfsAt + 0x40, btrfsAt + 0x48) === '_BHRfS_M')
    return { type: 'btrfs', bytes: head.readBigUInt64LE(btrfsAt + 0x70) };
  if (head.readUInt16LE(ext4At + 0x38) !== ext4Magic) return undefined;
  const wide = (head.readUInt32LE(ext4At + 0x60) & ext464Bit) !== 0;
  const high = wide ? BigInt(head.readUInt32LE(ext4At + 0x150)) << 32n : 0n;
  const blocks = high | BigInt(head.readUInt32LE(ext4At + 0x4));
  const bytes = blocks << (10n + BigInt(head.readUInt32LE(ext4At + 0x18)));
  const foundErrors = (head.readUInt16LE(ext4At + 0x3a) & ext4FoundErrors) !== 0;
  return { type: 'ext4', bytes, ...(foundErrors ? { wantsCheck: true } : {}) };
}

/** The first bytes of a file, fewer where it is shorter. */
export async function readHead(path: string, bytes: number): Promise<Uint8Array> {
  await using handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const buffer = new Uint8Array(bytes);
  const { bytesRead } = await handle.read(buffer, 0, bytes, 0);
  return buffer.subarray(0, bytesRead);
}

/** The sector size that the disk in a file was made for; the usual one where the disk does not say. */
export const sectorBytesIn = async (path: string): Promise<SectorBytes> =>
  sectorBytesOf(await readHead(path, headBytes));
