import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Executables } from '../support/disk/executables.ts';
import { csiClient, nodeName, type Csi } from './csi.ts';
import { asInImage } from './program.ts';

/** A server in a process of its own, with a root of its own. */
export interface Server {
  readonly csi: Csi;
  readonly root: string;
  /** A fresh directory below the kubelet's. */
  readonly place: (name: string) => Promise<string>;
  /** Commands in its log so far, by name; needs level debug. */
  commands(): readonly string[];
  /** The same with how long each took. */
  steps(): readonly Step[];
  memory(): Promise<Memory>;
  /** Processor time it has used, in seconds. */
  cpu(): Promise<number>;
  stop(): Promise<void>;
}

/** A command that ended. */
export interface Step {
  readonly name: string;
  readonly argv: readonly string[];
  readonly ms: number;
}

/** Resident memory in MiB: all of it, and what is not backed by a file. */
export interface Memory {
  readonly resident: number;
  readonly anonymous: number;
}

/** What to start, and where. */
export interface ServerPlan {
  readonly ground: Executables;
  /** `dist/gpfs-csi.js`, or the sources. */
  readonly program: string;
  readonly name: string;
  readonly logLevel: 'info' | 'debug';
  /** Kills the process at once, so calls that wait for it fail. */
  readonly signal: AbortSignal;
}

// sysconf(_SC_CLK_TCK), the same on every Linux that Node runs on.
const ticks = 100;

/** Starts a server and waits until it is ready. */
export async function startServer(plan: ServerPlan): Promise<Server> {
  const { ground, name, signal } = plan;
  signal.throwIfAborted();
  const folder = join(ground.work, name);
  const root = join(ground.simulator.filesetPath, name);
  for (const each of [folder, root, join(folder, 'kubelet')]) await mkdir(each);
  const socket = join(folder, 'csi.sock');
  const logFile = join(folder, 'log');
  const { pid, ended } = launch(plan, folder, root, socket, logFile);
  const csi = csiClient(socket);
  const stop = async (): Promise<void> => {
    csi.close();
    kill(pid, 'SIGTERM');
    const limit = setTimeout(() => {
      kill(pid, 'SIGKILL');
    }, 20_000);
    await ended;
    clearTimeout(limit);
  };
  try {
    await ready(csi, ended);
  } catch (error) {
    await stop();
    throw new Error(`the server did not start:\n${await readFile(logFile, 'utf8')}`, {
      cause: error,
    });
  }
  return {
    csi,
    root,
    stop,
    place: async (each) => {
      const path = join(folder, 'kubelet', each);
      await mkdir(path, { recursive: true });
      return path;
    },
    commands: () => stepsIn(readFileSync(logFile, 'utf8')).map(({ name }) => name),
    steps: () => stepsIn(readFileSync(logFile, 'utf8')),
    memory: () => memoryOf(pid),
    cpu: () => cpuOf(pid),
  };
}

function launch(plan: ServerPlan, folder: string, root: string, socket: string, logFile: string) {
  const flags = {
    root,
    'mm-dir': plan.ground.simulator.bin,
    // Without this, the probe at the start would be measured with the requests.
    probe: 'never',
    'mm-runner': 'direct',
    'node-id': nodeName,
    'state-dir': join(folder, 'state'),
    'kubelet-dir': join(folder, 'kubelet'),
    'max-volumes-per-node': '10000',
    'log-level': plan.logLevel,
  };
  const log = openSync(logFile, 'a');
  const argv = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  // In its own process group, so that Ctrl-C reaches only us. We end the server once all calls are answered.
  const image = asInImage();
  const child = spawn(process.execPath, [...image.flags, plan.program, 'serve', ...argv], {
    env: { ...image.env, PATH: process.env['PATH'], CSI_ENDPOINT: `unix://${socket}` },
    stdio: ['ignore', 'ignore', log],
    detached: true,
  });
  closeSync(log);
  const pid = child.pid ?? 0;
  const end = (): void => {
    kill(pid, 'SIGKILL');
  };
  plan.signal.addEventListener('abort', end, { once: true });
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => {
      plan.signal.removeEventListener('abort', end);
      resolve();
    });
    child.on('error', () => {
      resolve();
    });
  });
  return { pid, ended };
}

async function ready(csi: Csi, ended: Promise<void>): Promise<void> {
  const gone = ended.then(() => true);
  for (;;) {
    const answer = await csi.probe().catch(() => undefined);
    if (answer?.ready?.value === true) return;
    if (await Promise.race([gone, sleep(20, false)])) throw new Error('the server ended');
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    if (pid > 0) process.kill(pid, signal);
  } catch {
    // It has ended already.
  }
}

const stepsIn = (log: string): readonly Step[] =>
  log.split('\n').flatMap((line) => {
    if (!line.includes('"message":"command ')) return [];
    const { argv, ms } = JSON.parse(line) as { argv: readonly string[]; ms: number };
    return [{ name: nameOf(argv), argv, ms }];
  });

function nameOf([program = '', verb = '']: readonly string[]): string {
  const name = program.slice(program.lastIndexOf('/') + 1);
  return name === 'mmclone' ? `${name} ${verb}` : name;
}

async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  return { resident: mebibytes('VmRSS'), anonymous: mebibytes('RssAnon') };
}

async function cpuOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name in brackets may hold anything; utime and stime are the 12th and 13th after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticks;
}
