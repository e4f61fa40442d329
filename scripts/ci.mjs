// Runs `npm test`, then `npm run test:e2e`, whatever became of the first, and counts both in one last line.
// Stands on any Node from 18 and on nothing that npm installs.
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countsOf, sumOf } from './ci/counts.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const commands = [
  ['npm', 'test'],
  ['npm', 'run', 'test:e2e'],
];
let running;
let stopped = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    stopped = true;
    running?.kill(signal);
  });

/** Runs a program to its end, shows what it prints, and resolves to what it counted. */
function run([program, ...args]) {
  return new Promise((resolve) => {
    running = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    running.stdout.setEncoding('utf8').on('data', (text) => {
      process.stdout.write(text);
      output = `${output}${text}`.slice(-4096);
    });
    running.on('error', (error) => {
      console.error(`${program} could not be started: ${error.message}`);
    });
    running.on('close', (status) => resolve(countsOf(output, status)));
  });
}

const start = Date.now();
const all = [];
for (const command of commands) {
  console.log(`\n${command.join(' ')}`);
  if (!stopped) all.push(await run(command));
}
const { passed, failed } = sumOf(all, commands.length);
console.log(`\nboth in ${((Date.now() - start) / 60_000).toFixed(1)} min`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
