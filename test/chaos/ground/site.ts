import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GiB } from '../../../src/model/bytes.ts';
import { messageOf } from '../../../src/model/fault.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { simulateUp } from '../../../src/simulator/disk/lifecycle/up.ts';
import type { Personality } from '../../../src/simulator/core/personality.ts';
import { simulatorIn } from '../../support/disk/executables.ts';

export const run = hostRun({ mmDirectory: '/nonexistent' });

/** A simulated GPFS with two roots, and the process that removes it when the harness has ended. */
export interface Site {
  /** Holds everything that the run makes. */
  readonly work: string;
  readonly simulator: string;
  readonly mount: string;
  readonly bin: string;
  readonly roots: readonly [string, string];
  /** Changes how this GPFS behaves. */
  set(personality: Partial<Personality>): Promise<void>;
  /** Takes all blocks that are left, and gives them back. */
  fill(): Promise<void>;
  empty(): Promise<void>;
  /** Removes all of it; resolves to false where something could not be removed. */
  close(): Promise<boolean>;
}

/** Sets a site up below `parent`. */
export async function newSite(parent: string): Promise<Site> {
  const work = await realpath(await mkdtemp(join(parent, 'gcc-')));
  const close = keeperOf(work);
  try {
    const simulator = simulatorIn(work);
    await mkdir(simulator);
    const { mount, bin, filesetPath } = await simulateUp({ run, dir: simulator, size: 8n * GiB });
    const roots = [join(filesetPath, 'r1'), join(filesetPath, 'r2')] as const;
    for (const root of roots) await mkdir(root);
    return {
      work,
      simulator,
      mount,
      bin,
      roots,
      close,
      set: (some) => change(simulator, some),
      ...ballastIn(mount),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function ballastIn(mount: string): Pick<Site, 'fill' | 'empty'> {
  const path = join(mount, 'ballast');
  return {
    fill: async () => {
      const { bavail, bsize } = await statfs(mount);
      // Servers write meanwhile, so the last blocks come in smaller and smaller pieces.
      for (let bytes = bavail * bsize; bytes >= bsize; bytes = Math.floor(bytes / 2))
        await taken(path, bytes);
    },
    empty: () => rm(path, { force: true }),
  };
}

/** Makes a file longer by so many bytes where there is room for them. */
async function taken(path: string, bytes: number): Promise<void> {
  const { size } = await stat(path).catch(() => ({ size: 0 }));
  const where = ['--offset', String(size), '--length', String(bytes)];
  await run(['fallocate', ...where, path], 'write').catch((error: unknown) => {
    if (!messageOf(error).includes('No space left')) throw error;
  });
}

function keeperOf(work: string): () => Promise<boolean> {
  const program = fileURLToPath(new URL('./keeper.ts', import.meta.url));
  // In a session of its own: Ctrl-C in a terminal is not for it.
  const keeper = spawn(process.execPath, [program, work], {
    stdio: ['pipe', 'inherit', 'inherit'],
    detached: true,
  });
  const ended = once(keeper, 'close').then(([status]) => status as number | null);
  return async () => {
    keeper.stdin.end();
    return (await ended) === 0;
  };
}

// Each command and each call of the driver reads this file as it begins, so it is replaced in one step.
async function change(simulator: string, some: Partial<Personality>): Promise<void> {
  const path = join(simulator, 'personality.json');
  const before = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(`${path}.new`, JSON.stringify({ ...before, ...some }));
  await rename(`${path}.new`, path);
}
