import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../../run/files.ts';

/** Keeps other processes out while work is half done. A killed holder does not keep the lock. */
export interface Lock {
  /** Blocks this thread while others hold it. */
  hold<T>(work: () => T): T;
  /** The same, waiting without blocking; the work itself is synchronous. */
  holdSoon<T>(work: () => T): Promise<T>;
}

type Release = () => void;

/**
 * A lock made of numbered files in a directory. The process that made the file with the highest number holds the
 * lock. The file names that process; it is empty once the lock is free. Why numbers: Node has no flock(2), and with
 * a single lock file two processes could both take the lock over from a dead holder.
 */
export function processLock(directory: string): Lock {
  mkdirSync(directory, { recursive: true });
  return {
    hold: (work) => {
      let release = take(directory);
      for (let tries = 0; !release; tries += 1) {
        Atomics.wait(sleeper, 0, 0, pause(tries));
        release = take(directory);
      }
      return finish(work, release);
    },
    holdSoon: async (work) => {
      let release = take(directory);
      for (let tries = 0; !release; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, pause(tries)));
        release = take(directory);
      }
      return finish(work, release);
    },
  };
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const pause = (tries: number): number => 1 + Math.random() * Math.min(tries, 10);

function finish<T>(work: () => T, release: Release): T {
  try {
    return work();
  } finally {
    release();
  }
}

const numbers = (directory: string): readonly number[] =>
  readdirSync(directory)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);

function take(directory: string): Release | undefined {
  const highest = numbers(directory).at(-1) ?? 0;
  if (highest > 0 && isHeld(join(directory, String(highest)))) return undefined;
  const mine = highest + 1;
  const path = join(directory, String(mine));
  if (!claim(directory, path)) return undefined;
  const all = numbers(directory);
  // Our list of numbers may be old, and our number may be one that was removed since: only the highest counts.
  if (all.some((number) => number > mine)) {
    remove(path);
    return undefined;
  }
  for (const number of all) if (number < mine) remove(join(directory, String(number)));
  return () => {
    truncateSync(path, 0);
  };
}

function claim(directory: string, path: string): boolean {
  const own = join(directory, `claim.${process.pid}.${Math.random().toString(36).slice(2)}`);
  const fd = openSync(own, 'wx', 0o600);
  try {
    writeSync(fd, identity(process.pid) ?? 'unknown');
    linkSync(own, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    closeSync(fd);
    remove(own);
  }
}

function isHeld(path: string): boolean {
  const holder = readIfThere(path);
  if (holder === undefined) return true;
  if (holder === '') return false;
  return identity(Number(holder.split(' ')[0])) === holder;
}

// A file that vanished was removed by a process that took the lock meanwhile.
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** Process number, start time and boot, which no two processes share. Undefined for one that is dead or a zombie. */
function identity(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = '', started = ''] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X') return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${pid} ${started} ${boot}`;
  } catch {
    return undefined;
  }
}
