import { open } from 'node:fs/promises';
import type { Bytes } from '../model/bytes.ts';
import type { FsType } from '../model/capability.ts';

const headBytes = 4096;
const ext4At = 1024;
const ext4Magic = 0xef53;
const ext464Bit = 0x80;

/** The size a file system believes to have, from its superblock on the device. */
export interface Superblock {
  readonly type: FsType;
  readonly bytes: Bytes;
}

/** Reads the superblock of an ext4 or XFS device; undefined when there is neither. */
export async function superblock(device: string): Promise<Superblock | undefined> {
  const handle = await open(device, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    return bytesRead === headBytes ? parseSuperblock(buffer) : undefined;
  } finally {
    await handle.close();
  }
}

/** The superblock in the first 4096 bytes of a device. */
export function parseSuperblock(head: Buffer): Superblock | undefined {
  if (head.toString('latin1', 0, 4) === 'XFSB')
    return { type: 'xfs', bytes: BigInt(head.readUInt32BE(4)) * head.readBigUInt64BE(8) };
  if (head.readUInt16LE(ext4At + 0x38) !== ext4Magic) return undefined;
  const wide = (head.readUInt32LE(ext4At + 0x60) & ext464Bit) !== 0;
  const high = wide ? BigInt(head.readUInt32LE(ext4At + 0x150)) << 32n : 0n;
  const blocks = high | BigInt(head.readUInt32LE(ext4At + 0x4));
  return { type: 'ext4', bytes: blocks << (10n + BigInt(head.readUInt32LE(ext4At + 0x18))) };
}
