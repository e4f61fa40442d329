import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileIdentity } from './loop.ts';

/**
 * Processes of this host that have a file open, by their numbers. /proc tells the inode without a look at the file
 * itself, which on a file system that hangs would never return.
 */
export async function processesWith(
  file: FileIdentity,
  proc = '/proc',
): Promise<readonly string[]> {
  const found: string[] = [];
  const pids = (await namesIn(proc)).filter((name) => /^\d+$/.test(name));
  for (const pid of pids.filter((each) => each !== String(process.pid)))
    if (await hasOpen(join(proc, pid), file)) found.push(pid);
  return found;
}

async function hasOpen(process: string, { device, inode }: FileIdentity): Promise<boolean> {
  for (const fd of await namesIn(join(process, 'fdinfo'))) {
    const told = await readFile(join(process, 'fdinfo', fd), 'latin1').catch(() => '');
    if (/^ino:\s*(\d+)$/m.exec(told)?.[1] !== String(inode)) continue;
    const file = await stat(join(process, 'fd', fd), { bigint: true }).catch(() => undefined);
    if (file?.dev === device) return true;
  }
  return false;
}

// Processes end while we look: what cannot be read is not there.
const namesIn = (path: string): Promise<readonly string[]> => readdir(path).catch(() => []);
