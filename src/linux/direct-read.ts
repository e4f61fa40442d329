import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { errnoOf } from '../run/files.ts';

const { O_DIRECT, O_NONBLOCK, O_RDONLY } = constants;
// How far apart memory of an allocation may begin.
const step = 16;

/**
 * Why one sector of this size cannot be read past the page cache; undefined when it can. The kernel takes a
 * file system's word that it has direct I/O for such sectors, and for some only assumes it.
 */
export async function whyNotDirect(device: string, bytes: number): Promise<string | undefined> {
  await using handle = await open(device, O_RDONLY | O_DIRECT | O_NONBLOCK);
  const buffer = Buffer.allocUnsafeSlow(2 * bytes);
  let why: string | undefined;
  // Direct I/O wants memory aligned to sectors, which Node does not promise: one of these places is.
  for (let at = 0; at < bytes; at += step)
    try {
      await handle.read(buffer, at, bytes, bytes);
      return undefined;
    } catch (error) {
      why = errnoOf(error);
      if (why !== 'EINVAL') break;
    }
  return `one sector of ${bytes} bytes cannot be read from it (${why ?? 'no answer'})`;
}
