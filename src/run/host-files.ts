import { constants, type BigIntStats } from 'node:fs';
import {
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rmdir,
  statfs,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import type { Bytes } from '../model/bytes.ts';
import { errnoError, errnoOf, isMissing, type FileStat, type Files, type Space } from './files.ts';
import { parseMountinfo, type Mounts } from './mounts.ts';
import { hostRanges } from './host-ranges.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } =
  constants;

// Without O_NONBLOCK, opening a fifo in the place of a file blocks a thread permanently.
const READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
const NEW = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY;

const MAX_TEXT = 1024 * 1024;
const SMALL_TEXT = 16 * 1024;

/** The Files port on the file systems of this machine; every call runs on libuv's thread pool. */
export function hostFiles(): Files {
  return {
    read: readText,
    head: readHead,
    createDurable,
    overwrite,
    createSparse,
    grow,
    ...hostRanges(),
    link,
    rename,
    unlink,
    makeDirectory,
    removeDirectory: rmdir,
    list,
    stat: statOfPath,
    statsIn,
    held: async (path) => (await lstat(path, { bigint: true })).blocks * 512n,
    chmod: (path, mode) => withOpen(path, READ, undefined, (handle) => handle.chmod(mode)),
    touch: (path) => {
      const now = new Date();
      return lutimes(path, now, now);
    },
    syncDirectory: (path) =>
      withOpen(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, undefined, (handle) => handle.sync()),
    space,
  };
}

/** The Mounts port: what the kernel says of this process's mount namespace. */
export function hostMounts(path = '/proc/self/mountinfo'): Mounts {
  return async () => parseMountinfo(await readFile(path, 'latin1'));
}

// By descriptor: readdir(3) of a path would follow a symbolic link.
const list = (path: string): Promise<readonly string[]> =>
  withOpen(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, undefined, async (handle) =>
    (await readdir(`/proc/self/fd/${handle.fd}`)).sort(),
  );

async function withOpen<Result>(
  path: string,
  flags: number,
  mode: number | undefined,
  use: (handle: FileHandle) => Promise<Result>,
): Promise<Result> {
  const handle = await open(path, flags, mode);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

const readHead = (path: string, bytes: number): Promise<Uint8Array> =>
  withOpen(path, READ, undefined, async (handle) => {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  });

// Most texts are records of a few hundred bytes: a buffer that is used again reads one with three trips to the
// thread pool (open, read, close).
const spare: Buffer[] = [];

const readText = (path: string): Promise<string> =>
  withOpen(path, READ, undefined, async (handle) => {
    const buffer = spare.pop() ?? Buffer.allocUnsafe(SMALL_TEXT);
    try {
      const { bytesRead } = await handle.read(buffer, 0, SMALL_TEXT, 0);
      if (bytesRead < SMALL_TEXT) return buffer.toString('utf8', 0, bytesRead);
    } finally {
      if (spare.length < 16) spare.push(buffer);
    }
    return readLarge(handle, path);
  });

async function readLarge(handle: FileHandle, path: string): Promise<string> {
  const buffer = Buffer.allocUnsafe(MAX_TEXT + 1);
  let size = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, size, buffer.length - size, size);
    size += bytesRead;
    if (size > MAX_TEXT) throw errnoError('EFBIG', 'read', path);
    if (bytesRead === 0) return buffer.toString('utf8', 0, size);
  }
}

/** Makes a new file; removes it when filling it fails. */
async function create<Result>(
  path: string,
  mode: number,
  fill: (handle: FileHandle) => Promise<Result>,
): Promise<Result> {
  const handle = await open(path, NEW, mode);
  try {
    // The umask of the process that started the driver must not decide who may read a volume.
    await handle.chmod(mode);
    const result = await fill(handle);
    await handle.close();
    return result;
  } catch (error) {
    await handle.close().catch(() => undefined);
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

const createDurable = (path: string, text: string, mode: number): Promise<void> =>
  create(path, mode, async (handle) => {
    await handle.writeFile(text, 'utf8');
    await handle.sync();
  });

const overwrite = (path: string, text: string): Promise<void> =>
  withOpen(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, undefined, async (handle) => {
    await handle.writeFile(text, 'utf8');
    await handle.truncate(Buffer.byteLength(text));
    await handle.sync();
  });

const createSparse = (path: string, size: Bytes, mode: number): Promise<FileStat> =>
  create(path, mode, async (handle) => {
    await handle.truncate(fileSize(size, path));
    return statOf(handle);
  });

const grow = (path: string, size: Bytes): Promise<FileStat> =>
  withOpen(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, undefined, async (handle) => {
    const before = await statOf(handle);
    if (before.size >= size) return before;
    await handle.truncate(fileSize(size, path));
    const after = await statOf(handle);
    // Another server may have grown it further meanwhile: resolve to what it has now. It must never be smaller.
    if (after.size < size) throw errnoError('EIO', 'ftruncate', path);
    return after;
  });

// Node takes a file size as a double; above 2^53 it would be rounded without an error.
function fileSize(size: Bytes, path: string): number {
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw errnoError('EFBIG', 'ftruncate', path);
  return Number(size);
}

async function makeDirectory(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    const found = await lstat(path);
    if (!found.isDirectory()) throw error;
    return;
  }
  await withOpen(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, undefined, (handle) =>
    handle.chmod(mode),
  );
}

async function space(path: string): Promise<Space> {
  const place = await lstat(path);
  if (place.isSymbolicLink()) throw errnoError('ELOOP', 'statfs', path);
  const { frsize, blocks, bfree, bavail, files, ffree } = await statfs(path, { bigint: true });
  return {
    total: blocks * frsize,
    used: (blocks - bfree) * frsize,
    available: bavail * frsize,
    inodes: files,
    inodesFree: ffree,
  };
}

const statOfPath = async (path: string): Promise<FileStat> =>
  fileStat(await lstat(path, { bigint: true }));

const statsIn: Files['statsIn'] = (directory, names) =>
  withOpen(directory, O_RDONLY | O_DIRECTORY, undefined, async ({ fd }) => {
    const seen: (FileStat | undefined)[] = [];
    for (const name of names)
      seen.push(
        await statOfPath(`/proc/self/fd/${fd}/${name}`).catch((error: unknown) => {
          if (isMissing(error)) return undefined;
          throw error;
        }),
      );
    return seen;
  });

/** What fstat(2) says of an open file. */
export const statOf = async (handle: FileHandle): Promise<FileStat> =>
  fileStat(await handle.stat({ bigint: true }));

/** The same of what Node says. */
export const fileStat = (stat: BigIntStats): FileStat => ({
  kind: kindOf(stat),
  device: stat.dev,
  inode: stat.ino,
  size: stat.size,
  links: Number(stat.nlink),
  mode: Number(stat.mode & 0o7777n),
  modifiedMs: Number(stat.mtimeMs),
  changedMs: Number(stat.ctimeMs),
  uid: Number(stat.uid),
  gid: Number(stat.gid),
});

function kindOf(stat: BigIntStats): FileStat['kind'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  return stat.isBlockDevice() ? 'block' : 'other';
}
