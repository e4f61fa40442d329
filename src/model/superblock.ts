import type { Bytes } from './bytes.ts';
import type { FsType } from './capability.ts';

/** How much of a disk `superblocksIn` reads: btrfs keeps its superblock 64 KiB in. */
export const superblockBytes = 68 * 1024;

/** What the superblock on a disk says of its file system. */
export interface Superblock {
  readonly type: FsType;
  readonly bytes: Bytes;
  /** The largest device that it can be grown to; undefined where that is above every volume. */
  readonly mostBytes?: Bytes;
  /** An ext4 that found errors while it was mounted: e2fsck must repair it before it is written to again. */
  readonly wantsCheck?: true;
  /** An ext4 without a journal: mkfs makes none in less than 8 MiB. */
  readonly lacksJournal?: true;
}

/** The file systems that a disk has a superblock of: usually one, two where an older one was not erased. */
export function superblocksIn(head: Uint8Array): readonly Superblock[] {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return [xfsIn(view), btrfsIn(view), ext4In(view)].filter((each) => each !== undefined);
}

/**
 * The file system on a disk: the one that its record names where that is there, else the only one. Undefined for a
 * disk without any, or with several of which the record names none.
 */
export function superblockOf(head: Uint8Array, recorded?: string): Superblock | undefined {
  const found = superblocksIn(head);
  return found.find(({ type }) => type === recorded) ?? (found.length === 1 ? found[0] : undefined);
}

/** Above every file and device of Linux: a larger size is not of a file system that can be used. */
const mostBytes = 2n ** 63n - 1n;

const canBe = (bytes: Bytes): boolean => bytes > 0n && bytes <= mostBytes;

const xfsBlocks = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];

function xfsIn(view: DataView): Superblock | undefined {
  if (!hasText(view, 0, 'XFSB')) return undefined;
  const block = view.getUint32(4);
  const bytes = BigInt(block) * view.getBigUint64(8);
  return xfsBlocks.includes(block) && canBe(bytes) ? { type: 'xfs', bytes } : undefined;
}

const btrfsAt = 64 * 1024;

function btrfsIn(view: DataView): Superblock | undefined {
  if (!hasText(view, btrfsAt + 0x40, '_BHRfS_M')) return undefined;
  const bytes = view.getBigUint64(btrfsAt + 0x70, littleEndian);
  return canBe(bytes) ? { type: 'btrfs', bytes } : undefined;
}

const hasText = (view: DataView, at: number, text: string): boolean =>
  view.byteLength >= at + 512 &&
  Array.from(text, (_, n) => view.getUint8(at + n)).every((byte, n) => byte === text.charCodeAt(n));

const littleEndian = true;
const little16 = (view: DataView, at: number): number => view.getUint16(at, littleEndian);
const little32 = (view: DataView, at: number): number => view.getUint32(at, littleEndian);

const ext4At = 1024;
const ext4Bytes = 1024;
const ext4Magic = 0xef53;
const foundErrors = 0x2;
const hasJournal = 0x4;
const resizeInode = 0x10;
const metaBg = 0x10;
const wide = 0x80;

function ext4In(whole: DataView): Superblock | undefined {
  if (whole.byteLength < ext4At + ext4Bytes) return undefined;
  const view = new DataView(whole.buffer, whole.byteOffset + ext4At, ext4Bytes);
  if (little16(view, 0x38) !== ext4Magic || !isSound(view)) return undefined;
  const is64Bit = has(view, 0x60, wide);
  const high = is64Bit ? BigInt(little32(view, 0x150)) << 32n : 0n;
  const blocks = high | BigInt(little32(view, 0x4));
  const block = 1n << (10n + BigInt(little32(view, 0x18)));
  if (!canBe(blocks * block)) return undefined;
  return {
    type: 'ext4',
    bytes: blocks * block,
    mostBytes: ext4Most(view, blocks, block),
    ...((little16(view, 0x3a) & foundErrors) === 0 ? {} : { wantsCheck: true }),
    ...(has(view, 0x5c, hasJournal) ? {} : { lacksJournal: true }),
  };
}

const has = (view: DataView, at: number, bit: number): boolean => (little32(view, at) & bit) !== 0;

// A pod may have written what it likes: what is calculated with must be what a mkfs writes.
function isSound(view: DataView): boolean {
  const [log, perGroup, inodes] = [0x18, 0x20, 0x28].map((at) => little32(view, at));
  return (
    Number(log) <= 6 && Number(perGroup) > 0 && Number(inodes) > 0 && descriptorBytes(view) <= 1024n
  );
}

const descriptorBytes = (view: DataView): bigint =>
  has(view, 0x60, wide) ? BigInt(little16(view, 0xfe)) || 64n : 32n;

/** Inodes, and blocks without the feature 64bit, are numbered with 32 bits. */
const most32 = 0xffff_ffffn;

/**
 * The largest device for an ext4. Where the descriptors of its groups no longer fit the blocks that mkfs reserved for
 * them, resize2fs moves what lies behind them and ruins the file system, and older kernels lose data (docs/resize.md).
 */
function ext4Most(view: DataView, blocks: bigint, block: Bytes): Bytes {
  const perGroup = BigInt(little32(view, 0x20));
  const inodes = BigInt(little32(view, 0x28));
  const groups = [
    most32 / inodes,
    descriptorGroups(view, (blocks + perGroup - 1n) / perGroup, block),
  ];
  const byGroups = groups.map((each) => each * perGroup * block);
  const byNumbers = has(view, 0x60, wide) ? [] : [(most32 + 1n) * block];
  return [...byGroups, ...byNumbers].reduce((a, b) => (a < b ? a : b), mostBytes);
}

/** How many groups the blocks for descriptors have room for. */
function descriptorGroups(view: DataView, groups: bigint, block: Bytes): bigint {
  if (has(view, 0x60, metaBg)) return most32;
  const perBlock = block / descriptorBytes(view);
  const used = (groups + perBlock - 1n) / perBlock;
  const reserved = has(view, 0x5c, resizeInode) ? BigInt(little16(view, 0xce)) : 0n;
  return (used + reserved) * perBlock;
}
