import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, inject, test } from 'vitest';
import { loops } from '../../chaos/ground/node.ts';
import { processesOf } from '../../chaos/ground/processes.ts';

/** What a run has on the machine: files, loop devices, processes. */
const leftIn = async (dir: string): Promise<readonly unknown[]> => [
  ...(await readdir(dir)),
  ...loops().filter(({ backing }) => backing.startsWith(`${dir}/`)),
  ...processesOf(dir),
];

test.each(['SIGINT', 'SIGKILL'] as const)(
  'a harness that is ended by %s leaves nothing behind',
  async (signal) => {
    const parent = await realpath(await mkdtemp(join(tmpdir(), 'chaos-ended-')));
    const results = await mkdtemp(join(tmpdir(), 'chaos-results-'));
    const main = fileURLToPath(new URL('../../chaos/main.ts', import.meta.url));
    const argv = ['--minutes', '9', '--seed', '3', '--servers', '2', '--faults', 'none'];
    const places = ['--dir', parent, '--results', results, '--program', inject('program')];
    const child = spawn(process.execPath, [main, ...argv, ...places], { stdio: 'ignore' });
    const ended = once(child, 'close');
    const served = async () =>
      (await readdir(parent)).some((name) => existsSync(join(parent, name, 'b1', 'csi.sock')));
    await expect.poll(served, { timeout: 120_000 }).toBe(true);
    expect((await leftIn(parent)).length).toBeGreaterThan(2);
    child.kill(signal);
    await ended;
    await expect.poll(() => leftIn(parent), { timeout: 60_000 }).toEqual([]);
    await rm(parent, { recursive: true });
    await rm(results, { recursive: true });
  },
);
