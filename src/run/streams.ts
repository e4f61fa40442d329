import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdtemp, open, rm, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { DriverError } from '../model/fault.ts';
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

/**
 * The same bytes; throws wrong-state at their end where they are not those of this digest (hex), since
 * nothing else tells a stream that was cut off from one that ended.
 */
export async function* verified(
  source: AsyncIterable<Buffer>,
  sha256: string | undefined,
): AsyncIterable<Buffer> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of source) {
    if (sha256 !== undefined) hash.update(chunk);
    bytes += chunk.length;
    yield chunk;
  }
  if (sha256 === undefined) return;
  const found = hash.digest('hex');
  if (found === sha256.toLowerCase()) return;
  throw new DriverError(
    'wrong-state',
    `the ${bytes} bytes that came have the SHA-256 ${found}, not the one given; they were cut off, or are another image`,
  );
}

/** The same bytes of a disk; throws wrong-state where they end inside a sector, as no disk does. */
export async function* wholeSectors(source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    yield chunk;
  }
  if (bytes % 512 === 0) return;
  throw new DriverError(
    'wrong-state',
    `what came ended after ${bytes} bytes, inside a sector: it was cut off, or is no raw disk`,
  );
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

/**
 * Makes a file that is there whole, on disk and for its owner alone, or not at all; never in the place of another.
 * The draft lies in a directory that nobody else may enter: whoever made it may give it any mode, and follows links.
 */
export async function makeWhole(
  path: string,
  make: (draft: string) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(`${path}.part-`);
  try {
    const draft = join(directory, 'draft');
    await make(draft);
    await keep(draft, 0o600);
    await link(draft, path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Puts what a program wrote on disk: qemu-img, for one, leaves that to whoever runs it. */
export async function keep(path: string, mode: number): Promise<void> {
  await using handle = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  await handle.chmod(mode);
  await handle.sync();
}
