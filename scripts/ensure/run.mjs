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

/** Where a program is, or undefined. */
export function findProgram(name, folders = []) {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...path, ...systemFolders, ...folders]
    .map((folder) => join(folder, name))
    .find(isProgram);
}

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
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    }
    child.on('error', (error) => resolve({ ok: false, output: error.message }));
    child.on('close', (status) => resolve({ ok: status === 0, output }));
  });
}

/** A line of progress: on stderr, because stdout belongs to what runs afterwards. */
export const say = (line) => console.error(`gpfs-csi: ${line}`);
