import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, readdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { succeed, type Succession } from '../../../src/cli/server/succession.ts';
import { silentLog, type Log } from '../../../src/observe/log.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { writersOf, type SeenProcess } from '../../../src/run/lifeline/processes.ts';

/** A node whose driver process has died, with a command of it that still runs. */
export interface Orphaned {
  readonly directory: string;
  /** How the command ends. */
  readonly ended: Promise<unknown>;
  /** The command, once it runs. */
  readonly command: SeenProcess;
}

/** Short limits: a command is asked to end at once, and gets SIGKILL half a second later. */
const limits = { askMs: 0, killMs: 500, firstMs: 5_000, againMs: 100 };

/** A directory of a node for one test, which removes it. */
export async function nodeDirectory() {
  const directory = await mkdtemp(join(tmpdir(), 'gpfs-csi-node-'));
  return {
    directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** A driver process that starts on the node now; resolves to what it logs, too. */
export async function successor(
  stateDirectory: string,
  patient: Partial<typeof limits> = {},
): Promise<Succession & { readonly signals: readonly unknown[] }> {
  const signals: unknown[] = [];
  const log: Log = {
    ...silentLog,
    warn: ({ name, signal }) => signals.push(`${String(signal)} ${String(name)}`),
  };
  const run = hostRun({ mmDirectory: '/nonexistent' });
  const found = await succeed({ run, log, stateDirectory, limits: { ...limits, ...patient } });
  return { ...found, signals };
}

/** Starts a command as a driver process does that dies then: only the command holds its lifeline. */
export async function orphan(
  directory: string,
  argv: readonly [string, ...string[]],
): Promise<Orphaned> {
  const { lifeline } = await successor(directory);
  const searchPath = [join(directory, 'bin'), '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
  const run = hostRun({ mmDirectory: '/nonexistent', searchPath, lifeline });
  const ended = run(argv, 'write').catch((error: unknown) => error);
  const command = await holderOf(directory);
  closeSync(lifeline);
  return { directory, ended, command };
}

/** A program of the node, as text of a shell; every user may run it. */
export async function program(directory: string, name: string, text: string): Promise<void> {
  await mkdir(join(directory, 'bin'), { recursive: true });
  await chmod(directory, 0o711);
  await writeFile(join(directory, 'bin', name), `#!/bin/sh\n${text}\n`);
  await chmod(join(directory, 'bin', name), 0o755);
}

/** Waits for a process that holds a lifeline of the node. */
async function holderOf(directory: string): Promise<SeenProcess> {
  const lifelines = join(directory, 'processes');
  for (;;) {
    for (const name of readdirSync(lifelines)) {
      const [found] = await writersOf(join(lifelines, name));
      if (found) return found;
    }
    await sleep(5);
  }
}

/** Starts an earlier driver process of the node, and waits until it holds its lifeline. */
export async function predecessor(directory: string, ...how: readonly string[]) {
  const file = fileURLToPath(new URL('./predecessor.ts', import.meta.url));
  const child = spawn(process.execPath, [file, directory, ...how], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return { child, ended: endOf(child) };
}

const endOf = (child: ChildProcess): Promise<string | null> =>
  new Promise((resolve) => {
    child.once('exit', (_, signal) => {
      resolve(signal);
    });
  });
