import { MiB } from '../../../src/model/bytes.ts';
import { superblockBytes } from '../../../src/model/superblock.ts';

/** Features of an ext4. */
export const compat = { journal: 0x4, resizeInode: 0x10 };
export const incompat = { metaBg: 0x10, is64Bit: 0x80 };

/** The superblock of an ext4 with blocks of 4 KiB and groups of 128 MiB. */
export function ext4({
  blocks = 16_384n,
  features = compat.journal,
  wide = incompat.is64Bit,
  reserved = 0,
  inodes = 8192,
}): Buffer {
  const head = Buffer.alloc(superblockBytes);
  const view = head.subarray(1024);
  view.writeUInt16LE(0xef53, 0x38);
  view.writeUInt32LE(2, 0x18);
  view.writeUInt32LE(32_768, 0x20);
  view.writeUInt32LE(inodes, 0x28);
  view.writeUInt32LE(features, 0x5c);
  view.writeUInt32LE(wide, 0x60);
  view.writeUInt16LE(reserved, 0xce);
  view.writeUInt16LE(64, 0xfe);
  view.writeUInt32LE(Number(blocks & 0xffff_ffffn), 0x4);
  view.writeUInt32LE(Number(blocks >> 32n), 0x150);
  return head;
}

/** The superblock of an xfs of 300 MiB. */
export function xfs(): Buffer {
  const head = Buffer.alloc(superblockBytes);
  head.write('XFSB', 'latin1');
  head.writeUInt32BE(4096, 4);
  head.writeBigUInt64BE(76800n, 8);
  return head;
}

/** The superblock of a btrfs of 300 MiB. */
export function btrfs(): Buffer {
  const head = Buffer.alloc(superblockBytes);
  head.write('_BHRfS_M', 64 * 1024 + 0x40, 'latin1');
  head.writeBigUInt64LE(300n * MiB, 64 * 1024 + 0x70);
  return head;
}
