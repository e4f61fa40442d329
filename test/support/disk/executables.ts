import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { GiB } from '../../../src/model/bytes.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { parseMountinfo } from '../../../src/run/mounts.ts';
import { simulateDown } from '../../../src/simulator/disk/lifecycle/down.ts';
import type { Description } from '../../../src/simulator/disk/state/layout.ts';
import { loopDevices } from '../../../src/simulator/disk/state/open-files.ts';
import { simulateStatus } from '../../../src/simulator/disk/lifecycle/status.ts';
import { simulateUp } from '../../../src/simulator/disk/lifecycle/up.ts';

/** A simulator of executables in a directory of its own. */
export interface Executables {
  /** Holds the simulator and the other files of its user. */
  readonly work: string;
  readonly simulator: Description;
  /** Parents that were damaged, and what is still mounted or attached. */
  problems(): Promise<readonly string[]>;
  /** Removes it, with all that a failed test left on it. */
  close(): Promise<void>;
}

const run = hostRun({ mmDirectory: '/nonexistent' });

/** Where the simulator of such a directory lies. */
export const simulatorIn = (work: string): string => join(work, 'simulator');

/** Removes such a directory, with the simulator and all that is mounted in it. */
export async function removeExecutables(work: string): Promise<void> {
  const dir = simulatorIn(work);
  for (const point of (await mountsIn(work)).toReversed())
    if (!point.startsWith(`${dir}/`)) await run(['umount', point], 'write');
  await simulateDown({ run, dir, force: true });
  await rm(work, { recursive: true, force: true, maxRetries: 3 });
}

/** Brings one up below `parent`. */
export async function executables(parent = tmpdir(), size = 20n * GiB): Promise<Executables> {
  const work = await mkdtemp(join(parent, 'gpfs-'));
  const dir = simulatorIn(work);
  const close = () => removeExecutables(work);
  try {
    await mkdir(dir);
    const simulator = await simulateUp({ run, dir, size });
    return { work, simulator, close, problems: () => problemsOf(work, simulator) };
  } catch (error) {
    await close();
    throw error;
  }
}

async function problemsOf(work: string, { dir, mount }: Description): Promise<readonly string[]> {
  const { reasons } = await simulateStatus({ dir });
  const points = (await mountsIn(work)).filter((point) => point !== mount);
  const loops = loopDevices().filter(({ backing }) => backing.startsWith(`${mount}/`));
  return [
    ...reasons,
    ...points.map((point) => `${point} is still mounted`),
    ...loops.map(({ device, backing }) => `${device} still holds ${basename(backing)}`),
  ];
}

async function mountsIn(directory: string): Promise<readonly string[]> {
  const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'latin1'));
  return mounts.map(({ point }) => point).filter((point) => point.startsWith(`${directory}/`));
}
