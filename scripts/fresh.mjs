// Tries the project as a new user would: a bare system, a clean clone of the last commit in it, and the
// commands of the README. Everything happens in a folder with namespaces of its own, gone afterwards.
// Stands on any Node from 18 and on nothing that npm installs.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { installPackages } from './ensure/apt.mjs';
import { findProgram, Refusal, say, stop } from './ensure/run.mjs';
import { detachLoopsOf } from './fresh/loops.mjs';
import { commands, runIn } from './fresh/run.mjs';
import { installSystem, systems } from './fresh/system.mjs';

const usage = `usage: npm run test:fresh [-- OPTIONS]

  --system NAMES    of ${Object.keys(systems).join(', ')}; default debian12,debian13
  --commands NAMES  of ${Object.keys(commands).join(', ')}; default demo,test
  --only STAGES     stages of npm test; default all
  --mirror ADDRESS  where debootstrap finds the packages of the system; default what apt uses here
  --dir FOLDER      where the systems are made; default /var/tmp`;

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function readArguments() {
  const options = {
    system: { type: 'string', default: 'debian12,debian13' },
    commands: { type: 'string', default: 'demo,test' },
    only: { type: 'string' },
    mirror: { type: 'string' },
    dir: { type: 'string', default: '/var/tmp' },
  };
  try {
    const { values } = parseArgs({ options });
    return {
      ...values,
      systems: namesIn(values.system, systems),
      commands: namesIn(values.commands, commands),
    };
  } catch (error) {
    throw new Refusal(`${error.message}\n${usage}`, 2);
  }
}

function namesIn(text, known) {
  const names = text.split(',');
  const unknown = names.filter((name) => !Object.hasOwn(known, name));
  if (unknown.length > 0) throw new Refusal(`there is no ${unknown.join(', ')}`);
  return names;
}

async function prepareMachine() {
  if (process.getuid() !== 0) throw new Refusal('this needs root: sudo npm run test:fresh');
  const missing = ['debootstrap', 'git'].filter((name) => findProgram(name) === undefined);
  if (missing.length > 0) await installPackages(missing, 'programs that make a bare system');
}

/** All commands on one system; a row of the table for each. */
async function trySystem(name, options, signal) {
  const folder = mkdtempSync(join(options.dir, `gpfs-csi-fresh-${name}-`));
  // It becomes the root directory of that system, which every user of a system may enter.
  chmodSync(folder, 0o755);
  const rows = [];
  try {
    const env = await installSystem(name, folder, options.mirror);
    execFileSync('git', ['clone', '--quiet', `file://${root}`, join(folder, 'home', 'gpfs-csi')]);
    for (const command of options.commands) {
      if (signal.aborted) break;
      say(`${name}: ${command}`);
      rows.push({ system: name, ...(await runIn(folder, command, options, { env, signal })) });
      const left = detachLoopsOf(folder);
      if (left.length > 0)
        rows.push({ system: name, command: `${command} left ${left.join(' ')}`, ok: false });
    }
    return rows;
  } finally {
    detachLoopsOf(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 1000 });
  }
}

function show(rows) {
  console.log('\nsystem        command   result  seconds  what it said last');
  for (const { system, command, ok, seconds = 0, last = '' } of rows) {
    const result = ok ? 'ok' : 'FAILED';
    const time = seconds.toFixed(0).padStart(7);
    console.log(`${system.padEnd(14)}${command.padEnd(10)}${result.padEnd(8)}${time}  ${last}`);
  }
  const failed = rows.filter(({ ok }) => !ok).length;
  console.log(`\n${rows.length - failed} passed, ${failed} failed`);
  return failed;
}

async function main() {
  const options = readArguments();
  await prepareMachine();
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopping.abort());
  const rows = [];
  for (const name of options.systems) {
    if (!stopping.signal.aborted) rows.push(...(await trySystem(name, options, stopping.signal)));
  }
  const wanted = options.systems.length * options.commands.length;
  process.exitCode = show(rows) === 0 && rows.length >= wanted ? 0 : 1;
}

try {
  await main();
} catch (error) {
  stop(error);
}
