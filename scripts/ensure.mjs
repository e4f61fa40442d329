// Makes a fresh clone runnable, then runs what was asked for on the project's own Node.
// Stands on any Node from 18 and on nothing that npm installs.
import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureGo } from './ensure/go.mjs';
import { ensureHostTools } from './ensure/host.mjs';
import { ensurePackages } from './ensure/packages.mjs';
import { Refusal, stop } from './ensure/run.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const entries = {
  demo: 'src/cli/demo.ts',
  check: 'test/runner/main.ts',
  test: 'test/runner/main.ts',
  e2e: 'test/e2e/main.ts',
  chaos: 'test/chaos/main.ts',
  // Makes all ready for tests, and runs none.
  ready: undefined,
  bench: 'test/bench/main.ts',
  'bench-node': 'test/bench/main.ts',
  'bench:k8s': 'test/bench/k8s/main.ts',
};

function usage() {
  return new Refusal(
    `usage: node scripts/ensure.mjs ${Object.keys(entries).join('|')} [arguments]`,
    2,
  );
}

function checkMachine(task) {
  if (process.platform !== 'linux') {
    throw new Refusal(
      `this needs Linux: loop devices and mounts, which ${process.platform} has not`,
    );
  }
  if (Number(process.versions.node.split('.')[0]) < 18) {
    throw new Refusal(`this needs Node 18 or newer to start, and this is ${process.version}`);
  }
  // What needs no disk needs no rights.
  if (process.getuid() !== 0 && task !== 'check') {
    const again = { test: 'npm test', e2e: 'npm run test:e2e' }[task] ?? `npm run ${task}`;
    throw new Refusal(
      `this needs root, for loop devices and mounts: run it as root, sudo ${again}`,
    );
  }
}

/** The child gets our terminal, our signals and the last word about our exit status. */
function become(entry, args, path) {
  const child = spawn('node', [join(root, entry), ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  // A terminal sends Ctrl-C to the child as well: forwarded, it would arrive twice.
  const typed = process.stdin.isTTY === true;
  process.on('SIGINT', () => typed || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) =>
    stop(new Refusal(`${entry} could not be started: ${error.message}`)),
  );
  child.on('exit', (status, signal) => {
    if (signal === null) process.exit(status);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const [task, ...rest] = process.argv.slice(2);
try {
  if (!Object.hasOwn(entries, task ?? '')) throw usage();
  checkMachine(task);
  await ensurePackages(root);
  if (task !== 'check') await ensureHostTools(task);
  const goPath = ['test', 'e2e', 'ready', 'bench:k8s'].includes(task) ? await ensureGo() : [];
  const path = [join(root, 'node_modules', '.bin'), ...goPath, process.env.PATH].join(delimiter);
  if (entries[task] !== undefined)
    become(entries[task], rest[0] === '--' ? rest.slice(1) : rest, path);
} catch (error) {
  stop(error);
}
