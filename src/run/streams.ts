import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { DriverError } from '../model/fault.ts';
import { randomNonce } from './clock.ts';
import { errnoOf, undefinedWhenMissing, type MayWrite } from './files.ts';
import { fileStat, statOf } from './host-files.ts';
import { nowAndThen, writeData } from './host-ranges.ts';
import { exchanged, isSameFile, type NameIn } from './named/named.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/** Called now and then with the number of bytes so far, and of how many, where that is known. */
export type Progress = (bytes: number, of?: number) => void;

const chunkBytes = 4 * 1024 * 1024;

/** Opens a file for reading. Its data stays readable while it is open, also when its name is removed. */
export const openForReading = (path: string): Promise<FileHandle> =>
  open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);

/** The same bytes, which are counted as they are read. */
export async function* counted(
  source: AsyncIterable<Buffer>,
  progress: Progress,
): AsyncIterable<Buffer> {
  let bytes = 0;
  for await (const chunk of source) {
    yield chunk;
    bytes += chunk.length;
    progress(bytes);
  }
}

/** Opens a file of the driver to write to it. */
export const openForWriting = (path: string): Promise<FileHandle> =>
  open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);

/** Reads the bytes of an open file, and leaves it open. */
export async function* bytesIn(handle: FileHandle, signal: AbortSignal): AsyncIterable<Buffer> {
  const options = { start: 0, highWaterMark: chunkBytes, signal, autoClose: false };
  for await (const chunk of handle.createReadStream(options)) yield chunk as Buffer;
}

/** The same bytes; throws wrong-state at their end when their digest is not this one, in hex. */
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
    `the ${bytes} bytes that came have the SHA-256 ${found}, not the one given; this is another image, or not all of it`,
  );
}

/** The same bytes; throws wrong-state when they are fewer or more than `bytes`, as when the sender was interrupted. */
export async function* exactly(
  source: AsyncIterable<Buffer>,
  bytes: number,
): AsyncIterable<Buffer> {
  let seen = 0;
  for await (const chunk of source) {
    seen += chunk.length;
    if (seen > bytes) throw miscounted(`is longer than the ${bytes} bytes of --size`);
    yield chunk;
  }
  if (seen < bytes) throw miscounted(`ended after ${seen} of ${bytes} bytes`);
}

const miscounted = (how: string): DriverError =>
  new DriverError('wrong-state', `standard input ${how}; nothing was kept, send all of it again`);

/** The same bytes, while they may be written. */
export async function* whileAllowed(
  source: AsyncIterable<Buffer>,
  may: MayWrite,
): AsyncIterable<Buffer> {
  const mayWrite = nowAndThen(may);
  for await (const chunk of source) {
    await mayWrite();
    yield chunk;
  }
}

/** Runs a program that writes data. Stops it when data may be written no longer, and throws why. */
export async function stoppedUnless<T>(
  may: MayWrite,
  signal: AbortSignal,
  work: (stop: AbortSignal) => Promise<T>,
  everyMs = 1000,
): Promise<T> {
  await may();
  const refused = new AbortController();
  const ask = () =>
    may().catch((error: unknown) => {
      refused.abort(error);
    });
  const timer = setInterval(() => void ask(), everyMs);
  try {
    return await work(AbortSignal.any([signal, refused.signal]));
  } catch (error) {
    throw refused.signal.aborted ? refused.signal.reason : error;
  } finally {
    clearInterval(timer);
  }
}

/** Writes a stream into a new file, with holes for zeros; resolves to its length. A failure leaves no file. */
export async function writeSparse(
  source: AsyncIterable<Buffer>,
  path: string,
  mode: number,
  progress: Progress,
): Promise<number> {
  await using target = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, mode);
  try {
    return await fillSparse(source, target, progress);
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

/** Writes a stream into an open, empty file, with holes for zeros; resolves to its length. On disk when it resolves. */
export async function fillSparse(
  source: AsyncIterable<Buffer>,
  target: FileHandle,
  progress: Progress,
): Promise<number> {
  const bytes = await pour(source, target, progress);
  await target.truncate(bytes);
  await target.sync();
  return bytes;
}

/** A new file without a name, in a directory that only root may enter; every user may read it through its descriptor. */
export async function openScratch(path: string): Promise<FileHandle> {
  const handle = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600);
  try {
    await unlink(path);
    await handle.chmod(0o444);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function pour(
  source: AsyncIterable<Buffer>,
  target: FileHandle,
  progress: Progress,
): Promise<number> {
  let bytes = 0;
  for await (const chunk of source) {
    await writeData(target, chunk, bytes, 'a new file');
    bytes += chunk.length;
    progress(bytes);
  }
  return bytes;
}

/** Reports now and then how many bytes a file has blocks for, while another program fills it. */
export async function whileFilled<T>(
  file: Pick<FileHandle, 'stat'>,
  progress: Progress,
  work: Promise<T>,
  everyMs = 1000,
): Promise<T> {
  const report = () =>
    file.stat().then(({ blocks }) => {
      progress(blocks * 512);
    });
  const timer = setInterval(() => void report().catch(() => undefined), everyMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

/**
 * Makes a complete file, on disk and readable only for its owner unless `mode` says more, or none; replaces another file
 * only where that is wanted, and fails with EEXIST else. What makes it gets an open file, and no name that somebody could
 * exchange. Throws wrong-state where the draft was exchanged.
 */
export async function makeWhole(
  { shown, path }: NameIn,
  make: (draft: FileHandle) => Promise<void>,
  { mode = 0o600, replace = false }: { readonly mode?: number; readonly replace?: boolean } = {},
): Promise<void> {
  const draft = `${path}.part-${randomNonce()}`;
  await using handle = await open(draft, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600);
  const isOurs = async (name: string): Promise<boolean> => {
    const found = await lstat(name, { bigint: true }).catch(undefinedWhenMissing);
    return found !== undefined && isSameFile(fileStat(found), await statOf(handle));
  };
  try {
    await make(handle);
    await keep(handle, mode);
    if (!(await isOurs(draft))) throw exchanged(shown);
    await (replace ? rename : link)(draft, path);
    if (!(await isOurs(path))) throw exchanged(shown);
  } finally {
    if (await isOurs(draft)) await unlink(draft);
  }
}

/** A file that a command is about to write. */
export interface NewFile {
  readonly mode: number;
  readonly replace?: boolean;
  /** What to do where something has its name. */
  readonly otherwise: string;
}

/**
 * Resolves to what writes the file, which then appears when it is whole. Throws wrong-state where something has its name:
 * at once, because making the content may take long, and again at the end.
 */
export async function newFile(
  to: NameIn,
  { mode, replace = false, otherwise }: NewFile,
): Promise<(content: string | Uint8Array) => Promise<void>> {
  const taken = (cause?: unknown) =>
    new DriverError('wrong-state', `${to.shown} is there already; ${otherwise}`, cause);
  if (!replace && (await lstat(to.path).catch(undefinedWhenMissing))) throw taken();
  return (content) =>
    makeWhole(to, (draft) => draft.writeFile(content), { mode, replace }).catch(
      (error: unknown) => {
        throw errnoOf(error) === 'EEXIST' ? taken(error) : error;
      },
    );
}

/** Sets the mode of a file that a program wrote, and syncs it: qemu-img, for example, does not. */
export async function keep(handle: FileHandle, mode: number): Promise<void> {
  await handle.chmod(mode);
  await handle.sync();
}
