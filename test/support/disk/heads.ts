import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { superblockBytes } from '../../../src/model/superblock.ts';

const mebibyte = 1024 * 1024;

/** The first bytes of disks as their programs make them: of file systems, of a qcow2 image, of a partition table. */
export interface Heads {
  readonly ext4: Buffer;
  readonly xfs: Buffer;
  readonly btrfs: Buffer;
  readonly qcow2: Buffer;
  readonly gpt: Buffer;
}

/** Makes each disk in a directory of its own, and removes it. */
export function realHeads(): Heads {
  const directory = mkdtempSync(join(tmpdir(), 'gpfs-csi-heads-'));
  const head = (name: string, size: number, ...make: readonly [string, ...string[]]): Buffer => {
    const file = join(directory, name);
    writeFileSync(file, '');
    truncateSync(file, size * mebibyte);
    const [program, ...args] = make;
    execFileSync(program, [...args, file], { stdio: 'ignore' });
    return firstOf(file);
  };
  try {
    const qcow2 = join(directory, 'qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', qcow2, '64M']);
    return {
      ext4: head('ext4', 64, 'mkfs.ext4', '-q', '-F'),
      xfs: head('xfs', 300, 'mkfs.xfs', '-q'),
      btrfs: head('btrfs', 128, 'mkfs.btrfs', '-q'),
      qcow2: firstOf(qcow2),
      gpt: partitionTable(),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function firstOf(file: string): Buffer {
  const bytes = Buffer.alloc(superblockBytes);
  const descriptor = openSync(file, 'r');
  try {
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** A protective MBR, and the header of a GPT in sectors of 512 bytes behind it. */
function partitionTable(): Buffer {
  const head = Buffer.alloc(superblockBytes);
  head.writeUInt8(0xee, 446 + 4);
  head.writeUInt32LE(1, 446 + 8);
  head.writeUInt16BE(0x55aa, 510);
  head.write('EFI PART', 512, 'latin1');
  return head;
}
