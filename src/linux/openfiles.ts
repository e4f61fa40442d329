import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileIdentity } from './losetup.ts';

/**
 * Processes of this host that have a file open, by their numbers. /proc tells the inode without a look at the file
 * itself, which on a file system that hangs would never return.
 */
export async function processesWith(
  { device, inode }: FileIdentity,
  proc = '/proc',
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await namesIn(proc)).filter((name) => /^\d+$/.test(name)))
    for (const fd of await namesIn(join(proc, pid, 'fdinfo'))) {
      const told = await readFile(join(proc, pid, 'fdinfo', fd), 'latin1').catch(() => '');
      if (/^ino:\s*(\d+)$/m.exec(told)?.[1] !== String(inode)) continue;
      const file = await stat(join(proc, pid, 'fd', fd), { bigint: true }).catch(() => undefined);
      if (file?.dev === device && pid !== String(process.pid)) found.push(pid);
    }
  return [...new Set(found)];
}

// Processes end while we look: what cannot be read is not there.
const namesIn = (path: string): Promise<readonly string[]> => readdir(path).catch(() => []);
