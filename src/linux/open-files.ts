import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { holdersOf } from '../run/lifeline/processes.ts';
import type { FileIdentity } from './loop.ts';

/**
 * The numbers of the processes of this host that have a file open. /proc shows the inode without a call to the
 * file itself, which would never return on a file system that hangs.
 */
export async function processesWith(
  { device, inode }: FileIdentity,
  proc = '/proc',
): Promise<readonly string[]> {
  const found = await holdersOf(async (directory, fd) => {
    const info = await readFile(join(directory, 'fdinfo', fd), 'latin1').catch(() => '');
    if (/^ino:\s*(\d+)$/m.exec(info)?.[1] !== String(inode)) return false;
    const file = await stat(join(directory, 'fd', fd), { bigint: true }).catch(() => undefined);
    return file?.dev === device;
  }, proc);
  return found.map(({ pid }) => String(pid));
}
