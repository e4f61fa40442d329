import { spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { runFolder } from '../setup/places.ts';
import type { Argv } from '../setup/shell.ts';
import { sleep } from '../setup/wait.ts';

const pidFile = (name: string): string => join(runFolder, 'pid', name);

/** Starts a program that keeps running after this process, unless it runs already. */
export function startProcess(
  name: string,
  [program, ...args]: Argv,
  env: NodeJS.ProcessEnv = {},
): void {
  if (runningPid(name) !== undefined) return;
  for (const folder of ['pid', 'log']) mkdirSync(join(runFolder, folder), { recursive: true });
  const log = openSync(join(runFolder, 'log', `${name}.log`), 'a');
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
  closeSync(log);
  // The caller that waits for the program notices. Without a listener, the event would end this process.
  child.on('error', () => undefined);
  if (child.pid === undefined) throw new Error(`${program} could not be started`);
  child.unref();
  writeFileSync(pidFile(name), `${child.pid} ${startTime(child.pid) ?? ''}`);
}

/** The pid of a program that runs, or undefined. */
export function runningPid(name: string): number | undefined {
  const [pid, start] = readText(pidFile(name)).split(' ');
  // A pid is used again: the program is known by the moment it started, too.
  if (!pid || !start || startTime(Number(pid)) !== start) return undefined;
  return Number(pid);
}

/** The child of a program, as the pid on this machine. */
export function childOf(pid: number): number | undefined {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((each) => statOf(Number(each))[1] === String(pid));
  return found === undefined ? undefined : Number(found);
}

/** Ends a program: with SIGTERM, and with SIGKILL if that takes too long. */
export async function stopProcess(name: string, patienceMs = 10_000): Promise<void> {
  const pid = runningPid(name);
  if (pid !== undefined) {
    signal(pid, 'SIGTERM');
    const end = performance.now() + patienceMs;
    while (runningPid(name) !== undefined && performance.now() < end) await sleep(100);
    signal(pid, 'SIGKILL');
    while (runningPid(name) !== undefined) await sleep(50);
  }
  rmSync(pidFile(name), { force: true });
}

/** Sends a signal; a process that is gone needs none. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended already.
  }
}

// A zombie counts as ended.
function startTime(pid: number): string | undefined {
  const fields = statOf(pid);
  return fields[0] === 'Z' ? undefined : fields[19];
}

// From the state on: the name before it, in parentheses, may hold anything.
function statOf(pid: number): readonly string[] {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
