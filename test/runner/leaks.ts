import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from './stage.ts';

/** Name of the variable that every process of this run inherits. */
export const runMark = 'NPM_TEST_RUN';

/** What a test may leave behind on the machine, each as a line that names it. */
export type Inventory = ReadonlySet<string>;

/** Takes stock of loop devices, mounts and the processes that carry `mark`. */
export const takeStock = (mark: string): Inventory =>
  new Set([...loopDevices(), ...mounts(), ...processes(mark)]);

/** Fails when something is there that was not there before; what is going away gets a moment. */
export async function checkLeaks(before: Inventory, mark: string): Promise<Outcome> {
  let left: readonly string[] = [];
  for (let tries = 0; tries < 10; tries += 1) {
    left = [...takeStock(mark)].filter((thing) => !before.has(thing));
    if (left.length === 0) return { passed: 1, failed: 0, output: '' };
    await sleep(500);
  }
  return {
    passed: 0,
    failed: 1,
    output: ['left behind, or begun meanwhile by something else on this machine:', ...left].join(
      '\n',
    ),
  };
}

const loopDevices = (): readonly string[] =>
  lines(execFileSync('losetup', ['-l', '-n', '-O', 'NAME,BACK-FILE'], { encoding: 'utf8' })).map(
    (line) => `loop device ${line.replace(/\s+/, ' ')}`,
  );

const mounts = (): readonly string[] =>
  lines(readFileSync('/proc/self/mountinfo', 'utf8')).map((line) => {
    const [id, , device, , point] = line.split(' ');
    return `mount ${String(point)} (${String(device)}, number ${String(id)})`;
  });

const processes = (mark: string): readonly string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => readProc(pid, 'environ').split('\0').includes(`${runMark}=${mark}`))
    .map((pid) => `process ${pid}: ${readProc(pid, 'cmdline').replaceAll('\0', ' ')}`);

// A process may end while this reads about it.
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

const lines = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');
