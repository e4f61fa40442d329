import { execFileSync } from 'node:child_process';
import { open, writeFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/** A partition of a disk that a test makes: all of it counts in sectors. */
export interface Partition {
  readonly first: number;
  readonly last: number;
}

const entryBytes = 128;
const entries = 128;

interface Place {
  readonly own: bigint;
  readonly other: bigint;
  readonly table: bigint;
}

/** Writes a sparse disk with a GUID partition table, first and backup, as a partitioner does on a device with such sectors. */
export async function gptDisk(
  path: string,
  bytes: number,
  sector: number,
  partitions: readonly Partition[],
): Promise<void> {
  const sectors = bytes / sector;
  const table = tableOf(partitions);
  const tableSectors = table.length / sector;
  const first = 2 + tableSectors;
  const last = sectors - tableSectors - 2;
  const head = ({ own, other, table: at }: Place): Buffer => {
    const header = Buffer.alloc(92);
    header.write('EFI PART', 'latin1');
    header.writeUInt32LE(0x10000, 8);
    header.writeUInt32LE(92, 12);
    [own, other, BigInt(first), BigInt(last)].forEach((lba, n) =>
      header.writeBigUInt64LE(lba, 24 + 8 * n),
    );
    header.fill(0x11, 56, 72);
    header.writeBigUInt64LE(at, 72);
    header.writeUInt32LE(entries, 80);
    header.writeUInt32LE(entryBytes, 84);
    header.writeUInt32LE(crc32(table), 88);
    header.writeUInt32LE(crc32(header), 16);
    return header;
  };
  const end = BigInt(sectors - 1);
  const backup = BigInt(sectors - 1 - tableSectors);
  await writeFile(path, '');
  await using handle = await open(path, 'r+');
  await handle.truncate(bytes);
  const put = (what: Buffer, lba: bigint) =>
    handle.write(what, 0, what.length, Number(lba) * sector);
  await put(protective(sectors), 0n);
  await put(head({ own: 1n, other: end, table: 2n }), 1n);
  await put(table, 2n);
  await put(table, backup);
  await put(head({ own: end, other: 1n, table: backup }), end);
  await handle.sync();
}

function tableOf(partitions: readonly Partition[]): Buffer {
  const table = Buffer.alloc(entries * entryBytes);
  partitions.forEach(({ first, last }, n) => {
    const at = n * entryBytes;
    // Linux file system data.
    table.set(Buffer.from('af3dc60f838472478e793d69d8477de4', 'hex'), at);
    table.fill(0x20 + n, at + 16, at + 32);
    table.writeBigUInt64LE(BigInt(first), at + 32);
    table.writeBigUInt64LE(BigInt(last), at + 40);
  });
  return table;
}

/** The DOS table that keeps older programs from a disk with a GUID partition table. */
const protective = (sectors: number): Buffer => dosTable([[0xee, 1, sectors - 1]]);

/** A DOS partition table: type, first sector and number of sectors of each partition. */
export function dosTable(partitions: readonly (readonly [number, number, number])[]): Buffer {
  const table = Buffer.alloc(512);
  partitions.forEach(([type, first, count], n) => {
    table.writeUInt8(type, 446 + 16 * n + 4);
    table.writeUInt32LE(first, 446 + 16 * n + 8);
    table.writeUInt32LE(count, 446 + 16 * n + 12);
  });
  table.writeUInt16BE(0x55aa, 510);
  return table;
}

/** Partitions as `first sector, sectors`, which a program that asks a device for its sectors finds on it. */
export const partitionsOn = (device: string): readonly string[] =>
  execFileSync('partx', ['--show', '-g', '-o', 'START,SECTORS', device], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => (line.trim() === '' ? [] : [line.trim().replace(/ +/, ' ')]));
