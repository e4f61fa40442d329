import { execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { access, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const node = join(root, 'node_modules', '.bin', 'node');
const program = join(root, 'dist', 'gpfs-csi.js');
// A fixed environment: variables of a developer must not change what is tested.
const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] };

const description = z.object({ mount: z.string(), bin: z.string(), filesetPath: z.string() });

/** A simulated GPFS, made by the built program. */
export interface Ground extends z.infer<typeof description> {
  readonly dir: string;
}

/** Brings a simulator up in `dir`. */
export async function bringUp(dir: string): Promise<Ground> {
  const { stdout } = await run(node, [program, 'simulate', 'up', '--dir', dir, '--json'], { env });
  return { ...description.parse(JSON.parse(stdout)), dir };
}

/** Removes a simulator, with all that a failed run left on it. */
export async function takeDown({ dir }: Pick<Ground, 'dir'>): Promise<void> {
  await run(node, [program, 'simulate', 'down', '--dir', dir, '--force'], { env });
}

const status = z.object({ state: z.string(), reasons: z.array(z.string()) });

/** What the simulator reports: parents that were removed or changed, and all else that is wrong. */
export async function damages({ dir }: Ground): Promise<readonly string[]> {
  const argv = [program, 'simulate', 'status', '--dir', dir, '--json'];
  // It ends with 1 when something is wrong, and still prints what.
  const { stdout } = await run(node, argv, { env }).catch((error: unknown) =>
    z.object({ stdout: z.string() }).parse(error),
  );
  const { state, reasons } = status.parse(JSON.parse(stdout));
  return state === 'up' ? [] : [`the simulator is ${state}: ${reasons.join('; ')}`];
}

/** Loop devices and mounts on the simulator beyond its own, as /sys and /proc have them. */
export async function leftOn({ dir, mount }: Ground): Promise<readonly string[]> {
  const { stdout } = await run('losetup', ['-l', '-n', '-O', 'NAME,BACK-FILE'], { env });
  const loops = stdout.split('\n').filter((line) => line.includes(` ${mount}/`));
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${dir}/`) && point !== mount);
  return [
    ...loops.map((line) => `loop device left: ${line}`),
    ...mounts.map((point) => `mount left: ${point}`),
  ];
}

/** A server of the built program. */
export interface Server {
  readonly endpoint: string;
  readonly readLog: () => Promise<string>;
  /** Stops the server as the kubelet would; resolves to what went wrong then. */
  readonly stop: () => Promise<readonly string[]>;
}

/** Starts a server with a root and a folder of its own, and waits for its socket. */
export async function serve(
  ground: Ground,
  name: string,
  flags: readonly string[],
): Promise<Server> {
  const folder = join(ground.dir, '..', name);
  const roots = join(ground.filesetPath, name);
  for (const each of [folder, roots, join(folder, 'kubelet')]) await mkdir(each, { mode: 0o750 });
  const socket = join(folder, 'csi.sock');
  const logFile = join(folder, 'server.log');
  const places = [
    '--root',
    roots,
    '--mm-dir',
    ground.bin,
    '--mm-runner',
    'direct',
    '--probe',
    'never',
  ];
  const own = ['--state-dir', join(folder, 'state'), '--kubelet-dir', join(folder, 'kubelet')];
  const log = openSync(logFile, 'a');
  const child = spawn(node, [program, 'serve', ...places, ...own, ...flags], {
    env: { ...env, CSI_ENDPOINT: `unix://${socket}` },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => {
      resolve(error.message);
    });
    child.on('exit', (code, signal) => {
      resolve(`${code ?? signal ?? ''}`);
    });
  });
  const readLog = (): Promise<string> => readFile(logFile, 'utf8');
  const gone = Promise.race([waitFor(socket), ended]);
  if ((await gone) !== socket) throw new Error(`the server ended at its start\n${await readLog()}`);
  const stop = async (): Promise<readonly string[]> => {
    child.kill('SIGTERM');
    const limit = sleep(60_000, 'nothing, a minute after SIGTERM', { ref: false });
    const end = await Promise.race([ended, limit]);
    if (end === '0') return [];
    child.kill('SIGKILL');
    return [`the server ended with ${end} instead of 0`];
  };
  return { endpoint: `unix://${socket}`, readLog, stop };
}

async function waitFor(socket: string): Promise<string> {
  for (let tries = 0; tries < 600; tries += 1) {
    const there = await access(socket).then(
      () => true,
      () => false,
    );
    if (there) return socket;
    await sleep(100);
  }
  return 'no socket after a minute';
}
