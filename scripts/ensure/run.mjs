import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Something is missing that only the user can give: one sentence, no stack. */
export class Refusal extends Error {
  constructor(message, status = 1) {
    super(message);
    this.status = status;
  }
}

/** Ends a script: a refusal says its sentence, and anything else is a defect with its stack. */
export function stop(error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`gpfs-csi: ${error.message}`);
  process.exit(error.status);
}

// root's own PATH may lack these, after `su` for one.
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Every place where a program is, the first of the PATH first. */
export function findPrograms(name, folders = []) {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...path, ...systemFolders, ...folders]
    .map((folder) => join(folder, name))
    .filter(isProgram);
}

/** Where a program is, or undefined. */
export const findProgram = (name) => findPrograms(name)[0];

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** What a program printed, or undefined when it failed. */
export function ask(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

/** Runs to the end; its output is kept, to be shown should it fail. */
export function complete(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let stdout = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    }
    child.stdout.on('data', (text) => (stdout += text));
    child.on('error', (error) => resolve({ ok: false, output: error.message, stdout }));
    child.on('close', (status) => resolve({ ok: status === 0, output, stdout }));
  });
}

/** A line of progress: on stderr, because stdout belongs to what runs afterwards. */
export const say = (line) => console.error(`gpfs-csi: ${line}`);

/** Says what is about to be done, does it, and says how long that took. */
export async function timed(line, work) {
  const start = Date.now();
  say(line);
  const result = await work();
  say(`  took ${((Date.now() - start) / 1000).toFixed(0)} s`);
  return result;
}
