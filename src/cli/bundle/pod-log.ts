import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** The end of a log that is read, in bytes. */
export const logBytes = 4 * 1024 * 1024;

/**
 * The end of what the driver's container wrote, from where the kubelet keeps it: `/var/log/pods` of the host, seen
 * through a process of the host (Kubernetes documentation, "Logging Architecture"). The last two starts. Throws where it is not there.
 */
export async function podLog(procPath: string, podName: string): Promise<string> {
  const pods = join(procPath, 'root', 'var', 'log', 'pods');
  const own = (await readdir(pods)).filter((name) => name.split('_')[1] === podName);
  const texts: string[] = [];
  for (const pod of own) {
    const folder = join(pods, pod, 'driver');
    const starts = (await readdir(folder)).filter((name) => /^\d{1,9}\.log$/.test(name));
    const last = starts.sort((a, b) => parseInt(a, 10) - parseInt(b, 10)).slice(-2);
    for (const name of last) texts.push(await endOf(join(folder, name), logBytes / 2));
  }
  if (texts.length === 0) throw new Error(`${pods} has no log of a container driver of ${podName}`);
  return texts.join('\n');
}

/** The last bytes of a plain file, from the beginning of a line. Throws for a link or anything else. */
export async function endOf(path: string, most: number): Promise<string> {
  await using file = await open(
    path,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  const stat = await file.stat();
  if (!stat.isFile()) throw new Error(`${path} is no plain file`);
  const from = Math.max(0, stat.size - most);
  const { bytesRead, buffer } = await file.read(
    Buffer.alloc(stat.size - from),
    0,
    stat.size - from,
    from,
  );
  const text = buffer.subarray(0, bytesRead).toString('utf8');
  return from === 0 ? text : text.slice(text.indexOf('\n') + 1);
}
