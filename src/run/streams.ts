import { constants } from 'node:fs';
import { link, open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { writeData } from './hostranges.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/** Told now and then how many bytes went through. */
export type Progress = (bytes: number) => void;

const chunkBytes = 4 * 1024 * 1024;

/** The bytes of a file, as they come. */
export async function* bytesOf(path: string, signal: AbortSignal): AsyncIterable<Buffer> {
  await using handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const options = { highWaterMark: chunkBytes, signal, autoClose: false };
  for await (const chunk of handle.createReadStream(options)) yield chunk as Buffer;
}

/** Writes a stream into a new file, holes where it is zero; resolves to its length. Nothing is left where that fails. */
export async function writeSparse(
  source: AsyncIterable<Buffer>,
  path: string,
  mode: number,
  progress: Progress,
): Promise<number> {
  await using target = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, mode);
  try {
    const bytes = await pour(source, target, path, progress);
    await target.truncate(bytes);
    await target.sync();
    return bytes;
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

async function pour(
  source: AsyncIterable<Buffer>,
  target: FileHandle,
  path: string,
  progress: Progress,
): Promise<number> {
  let bytes = 0;
  for await (const chunk of source) {
    await writeData(target, chunk, bytes, path);
    bytes += chunk.length;
    progress(bytes);
  }
  return bytes;
}

/** Makes a file that is there whole or not at all, and never in the place of another. */
export async function makeWhole(
  path: string,
  make: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = `${path}.part-${process.pid}`;
  try {
    await make(draft);
    await link(draft, path);
  } finally {
    await unlink(draft).catch(() => undefined);
  }
}
