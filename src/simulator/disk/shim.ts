import { writeSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { errnoOf } from '../../run/files.ts';
import { commandNames, hangs, runCommand } from '../commands/dispatch.ts';
import { simulatorLayoutOf } from './state/layout.ts';
import { absolute, lockOf, realGround } from './ground.ts';
import { mv, rm } from './rm-mv.ts';
import { pointer, type CommandOutcome } from '../commands/text.ts';

// The program behind every executable of a simulator. The name it is called by decides what it does.

// These only read files that are replaced as a whole, so they need not wait for the lock.
const lockless = new Set([
  'mmgetstate',
  'mmlsconfig',
  'mmlscluster',
  'mmlsmount',
  'mmlsfs',
  'mmlspool',
  'mmlsfileset',
]);

function main(called: string, args: readonly string[]): void {
  const name = basename(called);
  const dir = dirname(dirname(absolute(called)));
  const first = realGround(dir);
  if (commandNames.includes(name)) {
    if (hangs(first, name)) {
      setInterval(() => undefined, 1 << 30);
      return;
    }
    if (first.personality.latencyMs > 0) pause(first.personality.latencyMs);
    if (lockless.has(name)) {
      answer(runCommand(first, name, args));
      return;
    }
  }
  const outcome = lockOf(simulatorLayoutOf(dir)).hold(() => {
    const ground = realGround(dir);
    ground.recover();
    if (name === 'rm') return rm(ground, args);
    if (name === 'mv') return mv(ground, args);
    return runCommand(ground, name, args);
  });
  answer(outcome ?? { stdout: '', stderr: `${pointer(name)}\n`, exitCode: 1 });
}

const pause = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};

function answer(outcome: CommandOutcome | undefined): void {
  if (!outcome) return;
  print(1, outcome.stdout);
  print(2, outcome.stderr);
  process.exitCode = outcome.exitCode;
}

// Writes to the descriptor: setting up process.stdout takes a tenth of the start of a command.
function print(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') return;
      pause(1);
    }
  }
}

main(process.argv[1] ?? '', process.argv.slice(2));
