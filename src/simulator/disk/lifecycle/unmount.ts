import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DriverError } from '../../../model/fault.ts';
import { CommandFailed, type Run } from '../../../run/run.ts';
import { attempt, linkOf, namesIn } from '../state/open-files.ts';

// Programs that only read all of /tmp, such as a backup, leave soon.
const patienceMs = 5000;
const stepMs = 50;

/** Unmounts. When a process uses the mount for longer than `patienceMs`, throws in-use and names the processes. */
export async function unmountFree(run: Run, mount: string): Promise<void> {
  for (let waited = 0; ; waited += stepMs) {
    try {
      await run(['umount', mount], 'write');
      return;
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (waited >= patienceMs) throw inUse(mount, error);
    }
    await sleep(stepMs);
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof CommandFailed && error.stderr.includes('target is busy');

function inUse(mount: string, error: unknown): DriverError {
  const users = usersOf(mount);
  const who = users.length === 0 ? 'something' : users.join(', ');
  return new DriverError(
    'in-use',
    `${mount} cannot be unmounted: ${who} uses it; end that, then try again`,
    error,
  );
}

/** Processes with a file or their working directory below a mount, as `PID (name)`. */
const usersOf = (mount: string): readonly string[] =>
  namesIn('/proc')
    .filter((pid) => /^\d+$/.test(pid) && pathsOf(pid).some((path) => isBelow(path, mount)))
    .map((pid) => `process ${pid} (${nameOf(pid)})`);

const pathsOf = (pid: string): readonly (string | undefined)[] => [
  linkOf(`/proc/${pid}/cwd`),
  linkOf(`/proc/${pid}/root`),
  ...namesIn(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)),
];

const isBelow = (path: string | undefined, mount: string): boolean =>
  path === mount || path?.startsWith(`${mount}/`) === true;

const nameOf = (pid: string): string =>
  (attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8')) ?? 'ended').trimEnd();
