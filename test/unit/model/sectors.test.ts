import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { headBytes, sectorBytesOf } from '../../../src/model/sectors.ts';
import { dosTable } from '../../support/node/disks.ts';

/** The first bytes of a disk with these texts and numbers at these places. */
function head(parts: Readonly<Record<number, string | Uint8Array>>, size = headBytes): Uint8Array {
  const bytes = Buffer.alloc(size);
  for (const [at, part] of Object.entries(parts))
    bytes.set(typeof part === 'string' ? Buffer.from(part, 'latin1') : part, Number(at));
  return bytes;
}

const little = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const signed = { 510: '\x55\xaa' };
const fat = (sector: number) => ({
  0: '\xeb\x3c\x90mkfs.fat',
  11: little(sector).subarray(0, 2),
  21: '\xf8',
  ...signed,
});
const ext4 = (logBlock: number) => ({ 1080: '\x53\xef', 1048: little(logBlock) });
const xfs = (high: number) => ({ 0: 'XFSB', 102: Uint8Array.of(high, 0) });
const grub = head({ 0: dosTable([[0x83, 2048, 9]]) });
grub.set([0xeb, 0x63, 0x90]);
const protective = dosTable([[0xee, 1, 0xffffffff]]);

const disks: readonly (readonly [string, Uint8Array, 512 | 4096])[] = [
  ['nothing', head({}), 4096],
  ['nothing, and shorter than a sector', new Uint8Array(100), 4096],
  ['a GUID table of 512', head({ 0: protective, 512: 'EFI PART' }), 512],
  ['a GUID table of 4096', head({ 0: protective, 4096: 'EFI PART' }), 4096],
  [
    'a GUID table of 4096 over an older one of 512',
    head({ 0: protective, 512: 'EFI PART', 4096: 'EFI PART' }),
    4096,
  ],
  ['a DOS table, first partition at 1 MiB of 512', head({ 0: dosTable([[0x83, 2048, 9]]) }), 512],
  ['a DOS table, first partition at cylinder 1', head({ 0: dosTable([[0x83, 63, 9]]) }), 512],
  [
    'a DOS table, first partition at 1 MiB of 4096',
    head({
      0: dosTable([
        [0x83, 4352, 9],
        [0x83, 256, 4096],
      ]),
    }),
    4096,
  ],
  ['a DOS table without partitions', head({ 0: dosTable([]) }), 512],
  ['GRUB in front of a DOS table', grub, 512],
  ['FAT of 512', head(fat(512)), 512],
  ['FAT of 4096', head(fat(4096)), 4096],
  ['exFAT of 512', head({ 0: '\xeb\x76\x90EXFAT   ', 108: '\x09', ...signed }), 512],
  ['exFAT of 4096', head({ 0: '\xeb\x76\x90EXFAT   ', 108: '\x0c', ...signed }), 4096],
  ['xfs of 512', head(xfs(2)), 512],
  ['xfs of 4096', head(xfs(16)), 4096],
  ['ext4 with blocks of 1 KiB', head(ext4(0)), 512],
  ['ext4 with blocks of 4 KiB', head(ext4(2)), 4096],
  ['an ISO image', head({ 32769: 'CD001' }), 512],
  ['an ISO image that boots from a disk too', head({ ...signed, 32769: 'CD001' }), 512],
  ['LVM', head({ 512: 'LABELONE' }), 512],
  ['LUKS', head({ 0: 'LUKS\xba\xbe' }), 512],
  ['a member of a RAID', head({ 4096: little(0xa92b4efc) }), 512],
];

describe('the sector size that a disk was made for', () => {
  test.each(disks)('%s', (_, bytes, expected) => {
    expect(sectorBytesOf(bytes)).toBe(expected);
  });

  test('is one of two for any bytes of any length, whatever follows the head', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.constantFrom(...disks),
        (bytes, [, disk, expected]) => {
          expect([512, 4096]).toContain(sectorBytesOf(bytes));
          expect(
            sectorBytesOf(Buffer.concat([disk, Buffer.alloc(headBytes - disk.length), bytes])),
          ).toBe(expected);
        },
      ),
    );
  });
});
