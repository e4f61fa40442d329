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
export async function readProcess(
  pid: number | 'self',
  proc = '/proc',
): Promise<SeenProcess | undefined> {
  const text = await readFile(join(proc, String(pid), 'stat'), 'latin1').catch(() => '');
  // The name stands in parentheses and may contain some itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', started = ''] = [fields[0], fields[19]];
  if (started === '') return undefined;
  const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
  return { pid: Number.parseInt(text, 10), started, name, state };
}

/** Whether a descriptor is wanted. `directory` is that of its process or thread in /proc. */
type IsWanted = (directory: string, fd: string) => Promise<boolean>;

/** Processes that have such a descriptor, without this one. Those of another pid namespace than that of `proc` are not seen. */
export async function holdersOf(
  isWanted: IsWanted,
  proc = '/proc',
): Promise<readonly SeenProcess[]> {
  const found: SeenProcess[] = [];
  for (const pid of (await namesIn(proc)).filter((name) => /^\d+$/.test(name)).map(Number))
    if (pid !== process.pid) found.push(...(await ifHolder(pid, isWanted, proc)));
  return found;
}

async function ifHolder(
  pid: number,
  isWanted: IsWanted,
  proc: string,
): Promise<readonly SeenProcess[]> {
  const seen = await readProcess(pid, proc);
  if (!seen) return [];
  const own = join(proc, String(pid));
  // A process whose first thread has ended lives on in its other threads, for example one that hangs in a write.
  const tasks = seen.state === 'Z' ? await namesIn(join(own, 'task')) : [String(pid)];
  for (const task of tasks) {
    const directory = join(own, 'task', task);
    for (const fd of await namesIn(join(directory, 'fd')))
      if (await isWanted(directory, fd))
        return [{ ...seen, state: (await readProcess(Number(task), proc))?.state ?? seen.state }];
  }
  return [];
}

/**
 * Processes that have a file open for writing, without this one. The last component of the path must be a name that
 * no other file has: only a descriptor with that name is looked at closely, because asking for another file may hang
 * with its file system.
 */
export async function writersOf(path: string): Promise<readonly SeenProcess[]> {
  const file = await stat(path, { bigint: true }).catch(() => undefined);
  if (!file) return [];
  const name = basename(path);
  return holdersOf(async (directory, fd) => {
    const link = join(directory, 'fd', fd);
    if (basename(await readlink(link).catch(() => '')) !== name) return false;
    const found = await stat(link, { bigint: true }).catch(() => undefined);
    const isSame = found?.dev === file.dev && found.ino === file.ino;
    return isSame && isForWriting(join(directory, 'fdinfo', fd));
  });
}

/** The lowest two bits of the flags of open(2) are the access mode; 0 is read only. */
async function isForWriting(info: string): Promise<boolean> {
  const text = await readFile(info, 'latin1').catch(() => '');
  return (Number.parseInt(/^flags:\s+(\d+)/m.exec(text)?.[1] ?? '0', 8) & 3) !== 0;
}

// Processes end meanwhile: what cannot be read is gone.
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
