import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { errnoOf } from '../../../src/run/files.ts';

/** All processes. */
export const pids = (): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** A file of a process in /proc; empty for a process that has ended meanwhile. */
export function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** Processes whose command line, with NUL bytes between its words, is as asked for. */
export const processesWith = (isWanted: (commandLine: string) => boolean): readonly number[] =>
  pids().filter((pid) => isWanted(readProc(pid, 'cmdline')));

/** The paths of the files that a process has open; none for one that has ended meanwhile. */
export function openFiles(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    return [];
  }
}

/** The process that started this one; NaN for one that has ended. */
export function parentOf(pid: number): number {
  const stat = readProc(pid, 'stat');
  // The name in brackets may hold anything; the state and the parent come after it.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

/** Sends a signal; a process that has ended already gets none. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}
