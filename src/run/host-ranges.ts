import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { errnoError, type Files, type MayWrite, type Range } from './files.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/** Bytes of one read; a multiple of every block size of GPFS up to it. */
const chunkBytes = 4 * 1024 * 1024;

/** The unit that is checked for zeros and skipped if it has nothing else: the least that a file system allocates. */
const grainBytes = 64 * 1024;

/** The calls of Files that move data, on the file systems of this machine. */
export const hostRanges = (): Pick<Files, 'copyRange' | 'writeZeros'> => ({
  copyRange,
  writeZeros,
});

/** How long an answer to the question whether data may be written counts. A chunk takes a few ms. */
const askedMs = 100;

/** The same question, asked again only where the last answer is old. */
export function nowAndThen(may: MayWrite): MayWrite {
  let askedAt = -Infinity;
  return async () => {
    // It also grows while this process is stopped.
    if (performance.now() - askedAt < askedMs) return;
    await may();
    askedAt = performance.now();
  };
}

async function copyRange(from: string, to: string, range: Range, may: MayWrite): Promise<void> {
  const mayWrite = nowAndThen(may);
  await using source = await open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  await using target = await open(to, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  const buffer = Buffer.allocUnsafe(chunkBytes);
  const end = Number(range.offset + range.length);
  for (let at = Number(range.offset); at < end;) {
    const { bytesRead } = await source.read(buffer, 0, Math.min(chunkBytes, end - at), at);
    if (bytesRead === 0) throw errnoError('EIO', 'read', from);
    await mayWrite();
    await writeData(target, buffer.subarray(0, bytesRead), at, to);
    at += bytesRead;
  }
  await target.sync();
}

const zeros = Buffer.alloc(chunkBytes);

/** Writes the parts of a chunk that are not zero; adjacent parts in one write. */
export async function writeData(
  target: FileHandle,
  data: Buffer,
  position: number,
  path: string,
): Promise<void> {
  for (const [start, end] of dataRuns(data))
    await writeWhole(target, data.subarray(start, end), position + start, path);
}

/** Where a buffer is not zero, in grains. */
function dataRuns(data: Buffer): readonly (readonly [start: number, end: number])[] {
  const runs: [number, number][] = [];
  for (let start = 0; start < data.length; start += grainBytes) {
    const end = Math.min(start + grainBytes, data.length);
    if (data.subarray(start, end).equals(zeros.subarray(0, end - start))) continue;
    const last = runs.at(-1);
    if (last?.[1] === start) last[1] = end;
    else runs.push([start, end]);
  }
  return runs;
}

async function writeWhole(
  target: FileHandle,
  data: Buffer,
  position: number,
  path: string,
): Promise<void> {
  for (let done = 0; done < data.length;) {
    const { bytesWritten } = await target.write(data, done, data.length - done, position + done);
    if (bytesWritten === 0) throw errnoError('EIO', 'write', path);
    done += bytesWritten;
  }
}

async function writeZeros(path: string, { offset, length }: Range, may: MayWrite): Promise<void> {
  const mayWrite = nowAndThen(may);
  await using target = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  const end = Number(offset + length);
  for (let at = Number(offset); at < end; at += chunkBytes) {
    await mayWrite();
    await writeWhole(target, zeros.subarray(0, Math.min(chunkBytes, end - at)), at, path);
  }
  await target.sync();
}
