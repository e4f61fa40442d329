import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MiB } from '../../../src/model/bytes.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import type { Run } from '../../../src/run/run.ts';
import { simulateDown } from '../../../src/simulator/disk/lifecycle/down.ts';
import type { Description } from '../../../src/simulator/disk/state/layout.ts';
import { simulateUp } from '../../../src/simulator/disk/lifecycle/up.ts';

/** A simulator of executables for one suite, and how to remove it. */
export interface TestSimulator extends Description {
  readonly run: Run;
  down(): Promise<void>;
}

/** A fresh directory for a simulator. */
export const freshDirectory = (): Promise<string> => mkdtemp(join(tmpdir(), 'gpfs-sim-'));

/** Sets one up in a directory of its own. */
export async function testSimulator(
  personality: Readonly<Record<string, unknown>> = {},
): Promise<TestSimulator> {
  const dir = await freshDirectory();
  const run = hostRun({ mmDirectory: join(dir, 'bin'), atOnce: 20 });
  const made = await simulateUp({ run, dir, size: 512n * MiB, personality });
  return { ...made, run, down: () => simulateDown({ run, dir, force: true }) };
}

/** What a process printed and how it ended. */
export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

/** Runs an executable to its end, or kills it after some milliseconds. */
export function ended(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly killAfterMs?: number } = {},
): Promise<Ended> {
  const child = spawn(program, args, { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (texts.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (texts.stderr += chunk.toString()));
  const timer =
    options.killAfterMs === undefined
      ? undefined
      : setTimeout(() => child.kill('SIGKILL'), options.killAfterMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      clearTimeout(timer);
      resolve({ ...texts, exitCode });
    });
  });
}
