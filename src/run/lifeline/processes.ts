import { readFile, readdir, readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** One process, as the kernel showed it at one moment. */
export interface SeenProcess {
  readonly pid: number;
  /** When it started, in ticks since the boot: with the number, it tells a process from a later one. */
  readonly started: string;
  /** The name of its program, at most 15 characters. */
  readonly name: string;
  /** One letter: R running, S asleep, D in a call of the kernel that no signal ends, T stopped, Z ended. */
  readonly state: string;
}

/** A process of this pid namespace; undefined when it does not exist (any more). */
export async function readProcess(pid: number | 'self'): Promise<SeenProcess | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  // The name stands in parentheses and may contain some itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', started = ''] = [fields[0], fields[19]];
  if (started === '') return undefined;
  const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
  return { pid: Number.parseInt(text, 10), started, name, state };
}

/**
 * Processes that have a file open for writing, without this one. Those of another pid namespace than this one's are
 * not seen. The last component of the path must be a name that no other file has: only a descriptor with that name is
 * looked at closely, because asking for another file may hang with its file system.
 */
export async function writersOf(path: string): Promise<readonly SeenProcess[]> {
  const file = await stat(path, { bigint: true }).catch(() => undefined);
  if (!file) return [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found: SeenProcess[] = [];
  for (const pid of pids)
    if (pid !== process.pid) found.push(...(await ifWriter(pid, basename(path), file)));
  return found;
}

interface Inode {
  readonly dev: bigint;
  readonly ino: bigint;
}

async function ifWriter(pid: number, name: string, file: Inode): Promise<readonly SeenProcess[]> {
  const seen = await readProcess(pid);
  if (!seen) return [];
  // A process whose first thread has ended lives on in its other threads, for example one that hangs in a write.
  const tasks = seen.state === 'Z' ? await namesIn(`/proc/${pid}/task`) : [String(pid)];
  for (const task of tasks) {
    const directory = `/proc/${pid}/task/${task}`;
    if (await writes(directory, name, file))
      return [{ ...seen, state: (await readProcess(Number(task)))?.state ?? seen.state }];
  }
  return [];
}

async function writes(directory: string, name: string, file: Inode): Promise<boolean> {
  for (const fd of await namesIn(join(directory, 'fd'))) {
    const link = join(directory, 'fd', fd);
    if (basename(await readlink(link).catch(() => '')) !== name) continue;
    const found = await stat(link, { bigint: true }).catch(() => undefined);
    const isSame = found?.dev === file.dev && found.ino === file.ino;
    if (isSame && (await isForWriting(join(directory, 'fdinfo', fd)))) return true;
  }
  return false;
}

/** The lowest two bits of the flags of open(2) are the access mode; 0 is read only. */
async function isForWriting(info: string): Promise<boolean> {
  const text = await readFile(info, 'latin1').catch(() => '');
  return (Number.parseInt(/^flags:\s+(\d+)/m.exec(text)?.[1] ?? '0', 8) & 3) !== 0;
}

const namesIn = (directory: string): Promise<readonly string[]> =>
  readdir(directory).catch(() => []);

/** Sends a signal to a process, but not to a later one that has its number. */
export async function signalProcess(
  { pid, started }: SeenProcess,
  signal: NodeJS.Signals,
): Promise<void> {
  if ((await readProcess(pid))?.started !== started) return;
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it ended just before.
  }
}
