import { describe, expect, test } from 'vitest';
import { GiB, MiB, TiB } from '../../../src/model/bytes.ts';
import { superblockOf, superblocksIn, superblockBytes } from '../../../src/model/superblock.ts';
import { btrfs, compat, ext4, incompat, xfs } from '../../support/model/superblocks.ts';

describe('the file system on a disk', () => {
  test('none, also where a disk is short', () => {
    expect(superblockOf(Buffer.alloc(superblockBytes))).toBeUndefined();
    for (const bytes of [0, 3, 500]) expect(superblocksIn(Buffer.alloc(bytes, 'XFSB'))).toEqual([]);
    expect(superblockOf(btrfs().subarray(0, 4096))).toBeUndefined();
  });

  test('an xfs, and a btrfs, whose superblock lies further in', () => {
    expect(superblockOf(xfs())).toEqual({ type: 'xfs', bytes: 300n * MiB });
    expect(superblockOf(btrfs())).toEqual({ type: 'btrfs', bytes: 300n * MiB });
  });

  test('a 64-bit ext4 beyond 16 TiB', () => {
    const blocks = (1n << 32n) + 5n;
    expect(superblockOf(ext4({ blocks }))).toMatchObject({ type: 'ext4', bytes: blocks * 4096n });
  });

  test('of two, the one in the record; without a record neither', () => {
    const both = btrfs();
    ext4({}).copy(both, 1024, 1024, 2048);
    expect(superblocksIn(both)).toHaveLength(2);
    expect(superblockOf(both, 'btrfs')).toMatchObject({ type: 'btrfs' });
    expect(superblockOf(both, 'ext4')).toMatchObject({ type: 'ext4' });
    expect(superblockOf(both, 'xfs')).toBeUndefined();
    expect(superblockOf(both)).toBeUndefined();
  });

  test('of one, that one, whatever is in the record', () => {
    expect(superblockOf(xfs(), 'ext4')).toMatchObject({ type: 'xfs' });
  });
});

test('a file system that says it is larger than any disk, or of no size, is none', () => {
  const changed = (head: Buffer, change: (head: Buffer) => void): Buffer => {
    change(head);
    return head;
  };
  const heads = [
    changed(xfs(), (head) => head.writeBigUInt64BE(2n ** 63n, 8)),
    changed(xfs(), (head) => head.writeUInt32BE(4095, 4)),
    changed(xfs(), (head) => head.writeUInt32BE(0xffff_ffff, 4)),
    changed(btrfs(), (head) => head.writeBigUInt64LE(2n ** 63n, 64 * 1024 + 0x70)),
    changed(btrfs(), (head) => head.writeBigUInt64LE(0n, 64 * 1024 + 0x70)),
    ext4({ blocks: 2n ** 63n }),
  ];
  for (const head of heads) expect(superblockOf(head)).toBeUndefined();
});

describe('how far an ext4 can grow', () => {
  const most = (layout: Parameters<typeof ext4>[0]) => superblockOf(ext4(layout))?.mostBytes;
  const features = compat.journal | compat.resizeInode;

  test('to where the descriptors of its groups fill the blocks reserved for them', () => {
    // What mkfs reserves by default in 64 MiB: 1024 times that, which is 8 blocks of 64 groups.
    expect(most({ features, reserved: 7 })).toBe(64n * GiB);
    expect(most({ features, reserved: 1024 })).toBe(8n * TiB + 8n * GiB);
  });

  test('without such blocks, to the end of the block that its last descriptor is in', () => {
    expect(most({})).toBe(8n * GiB);
    expect(most({ blocks: (9n * GiB) / 4096n })).toBe(16n * GiB);
    // A number that stayed when the inode that holds them was removed.
    expect(most({ reserved: 1024 })).toBe(8n * GiB);
  });

  test('to where its inodes or its blocks can no longer be numbered', () => {
    const wide = incompat.metaBg | incompat.is64Bit;
    expect(most({ wide, inodes: 32_768 })).toBe(16n * TiB - 128n * MiB);
    expect(most({ wide, inodes: 2048 })).toBeGreaterThan(64n * TiB);
    expect(most({ wide: incompat.metaBg, inodes: 2048 })).toBe(16n * TiB);
  });

  test('not at all where its superblock holds numbers that no mkfs writes', () => {
    for (const [at, value] of [
      [0x18, 0xffff_ffff],
      [0x18, 7],
      [0x20, 0],
      [0x28, 0],
      [0xfe, 8192],
    ] as const) {
      const head = ext4({});
      if (at === 0xfe) head.writeUInt16LE(value, 1024 + at);
      else head.writeUInt32LE(value, 1024 + at);
      expect(superblockOf(head), String(at)).toBeUndefined();
    }
  });
});

describe('what an ext4 needs', () => {
  test('a check after errors, and a journal where it has none', () => {
    const head = ext4({ features: 0 });
    head.writeUInt16LE(3, 1024 + 0x3a);
    expect(superblockOf(head)).toMatchObject({ wantsCheck: true, lacksJournal: true });
    const well = superblockOf(ext4({}));
    expect(well).not.toHaveProperty('wantsCheck');
    expect(well).not.toHaveProperty('lacksJournal');
  });
});
