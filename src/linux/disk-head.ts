import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { headBytes, sectorBytesOf, type SectorBytes } from '../model/sectors.ts';
import { superblockBytes, superblockOf, type Superblock } from '../model/superblock.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/**
 * The superblock of a device or image; undefined when it has no file system that the driver mounts. `recorded` is the
 * type in the volume's record, which decides where an older file system was not erased.
 */
export const superblock = async (
  device: string,
  recorded?: string,
): Promise<Superblock | undefined> =>
  superblockOf(await readHead(device, superblockBytes), recorded);

/** The first bytes of a file, fewer where it is shorter. */
export async function readHead(path: string, bytes: number): Promise<Uint8Array> {
  await using handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return await headOf(handle, bytes);
}

/** The same of an open file. */
export async function headOf(handle: FileHandle, bytes: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(bytes);
  const { bytesRead } = await handle.read(buffer, 0, bytes, 0);
  return buffer.subarray(0, bytesRead);
}

/** The sector size that the disk in a file was made for; the usual one where the disk does not say. */
export const sectorBytesIn = async (path: string): Promise<SectorBytes> =>
  sectorBytesOf(await readHead(path, headBytes));
