import { readFileSync, readdirSync } from 'node:fs';

/** Name of the variable that every server of a run has. */
export const runMark = 'GPFS_CHAOS_RUN';

const pids = (): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

// A process may end while this reads about it.
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** Servers of the run in this directory, and commands that name a path below it. */
export const processesOf = (work: string): readonly number[] =>
  pids().filter(
    (pid) =>
      pid !== process.pid &&
      (readProc(pid, 'environ').split('\0').includes(`${runMark}=${work}`) ||
        readProc(pid, 'cmdline').includes(`${work}/`)),
  );

/** Processes that run this program. */
export const running = (program: string): readonly number[] =>
  pids().filter((pid) => readProc(pid, 'cmdline').split('\0').includes(program));

/** The process and all that it started, and what these did. */
export function familyOf(pid: number): readonly number[] {
  const parents = new Map(pids().map((each) => [each, parentOf(each)]));
  const family = [pid];
  for (const each of family)
    family.push(...[...parents].filter(([, parent]) => parent === each).map(([child]) => child));
  return family;
}

// The name in brackets may hold anything; the state and the parent come after it.
function parentOf(pid: number): number {
  const stat = readProc(pid, 'stat');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Sends a signal; a process that has ended already is none to worry about. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
