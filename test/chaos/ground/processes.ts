import { parentOf, pids, readProc } from '../../support/disk/processes.ts';

/** Name of the variable that every server of a run has. */
export const runMark = 'GPFS_CHAOS_RUN';

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
