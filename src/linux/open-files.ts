import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileIdentity } from './loop.ts';

/**
 * The numbers of the processes of this host that have a file open. /proc shows the inode without a call to the
 * file itself, which would never return on a file system that hangs.
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
    const info = await readFile(join(process, 'fdinfo', fd), 'latin1').catch(() => '');
    if (/^ino:\s*(\d+)$/m.exec(info)?.[1] !== String(inode)) continue;
    const file = await stat(join(process, 'fd', fd), { bigint: true }).catch(() => undefined);
    if (file?.dev === device) return true;
  }
  return false;
}

// Processes end meanwhile: what cannot be read is gone.
const namesIn = (path: string): Promise<readonly string[]> => readdir(path).catch(() => []);
