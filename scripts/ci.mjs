// What CI runs: `npm test` and then `npm run test:e2e`, whatever became of the first, counted together in one last line.
// A fresh machine has to build Kubernetes as well: that begins at once and takes what the tests leave of the processors.
// Stands on any Node from 18 and on nothing that npm installs.
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { countsOf, oneCheck, sumOf } from './ci/counts.mjs';
import { labelled } from './ci/lines.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ensure = ['node', 'scripts/ensure.mjs'];
const running = new Set();
let stopped = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    stopped = true;
    for (const child of running) child.kill(signal);
  });

const show = (text) => process.stdout.write(text);

/** Runs a program to its end, shows what it prints, and resolves to the end of that and to the status. */
function run([program, ...args], shown = show) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(child);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      shown(text);
      output = `${output}${text}`.slice(-4096);
    });
    child.on('error', (error) => {
      console.error(`${program} could not be started: ${error.message}`);
    });
    child.on('close', (status) => {
      running.delete(child);
      resolve({ output, status });
    });
  });
}

/** One of the commands that count themselves. */
async function counted(command) {
  if (stopped) return undefined;
  show(`\n${command.join(' ')}\n`);
  const { output, status } = await run(command);
  return countsOf(output, status);
}

async function main() {
  // Both parts need these, and two processes must not install at once.
  const ready = await run([...ensure, 'ready']);
  if (ready.status !== 0) return [oneCheck(false)];
  const building = run(
    ['nice', '-n', '10', ...ensure, 'e2e', 'build'],
    labelled('kubernetes', show),
  );
  const tests = await counted(['npm', 'test']);
  const built = await building;
  const e2e = await counted(['npm', 'run', 'test:e2e']);
  return [tests, oneCheck(built.status === 0), e2e];
}

const start = Date.now();
const { passed, failed } = sumOf(await main(), 3);
show(`\nall of it in ${((Date.now() - start) / 60_000).toFixed(1)} min\n`);
show(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
