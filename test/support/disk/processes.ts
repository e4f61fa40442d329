import { readFileSync, readdirSync } from 'node:fs';

/** Ids of the processes whose command line, with NUL bytes between its words, is as asked for. */
export const processesWith = (isWanted: (commandLine: string) => boolean): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isWanted(commandLine(name)))
    .map(Number);

// A process may end while we read about it.
function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
