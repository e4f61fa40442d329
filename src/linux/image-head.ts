import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { headBytes, sectorBytesOf, type SectorBytes } from '../model/sectors.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** The first bytes of a file, fewer where it is shorter. */
export async function readHead(path: string, bytes: number): Promise<Uint8Array> {
  await using handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const buffer = new Uint8Array(bytes);
  const { bytesRead } = await handle.read(buffer, 0, bytes, 0);
  return buffer.subarray(0, bytesRead);
}

/** The sector size that the disk in a file was made for, as far as it says so. */
export const sectorBytesIn = async (path: string): Promise<SectorBytes> =>
  sectorBytesOf(await readHead(path, headBytes));
