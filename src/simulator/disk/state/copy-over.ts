import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';

/** What is compared and copied at once: the block of XFS. */
const blockBytes = 4096;
const chunkBytes = 1024 * blockBytes;

/**
 * Copies into a file what its clone parent holds, over what the file has written itself: the blocks of the parent
 * that differ from those of the grandparent, or from zeros where there is none.
 */
export function copyOver(file: string, parent: string, grandparent: string | undefined): void {
  const target = openSync(file, 'r+');
  const source = openSync(parent, 'r');
  const above = grandparent === undefined ? undefined : openSync(grandparent, 'r');
  try {
    const { size } = fstatSync(source);
    for (let at = 0; at < size; at += chunkBytes) {
      const data = chunkOf(source, at);
      const known = above === undefined ? Buffer.alloc(data.length) : chunkOf(above, at);
      copyBlocks({ target, data, known, at });
    }
    fsyncSync(target);
  } finally {
    for (const fd of [target, source, ...(above === undefined ? [] : [above])]) closeSync(fd);
  }
}

function chunkOf(fd: number, at: number): Buffer {
  const buffer = Buffer.alloc(chunkBytes);
  return buffer.subarray(0, readSync(fd, buffer, 0, chunkBytes, at));
}

interface Chunk {
  readonly target: number;
  readonly data: Buffer;
  readonly known: Buffer;
  readonly at: number;
}

function copyBlocks({ target, data, known, at }: Chunk): void {
  for (let from = 0; from < data.length; from += blockBytes) {
    const block = data.subarray(from, from + blockBytes);
    const before = known.subarray(from, from + blockBytes);
    if (!block.equals(before)) writeSync(target, block, 0, block.length, at + from);
  }
}
