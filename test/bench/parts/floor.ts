import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hostRun } from '../../../src/run/host-run.ts';
import { hostFiles } from '../../../src/run/host-files.ts';
import { timed, upTo, type Timing } from '../measure.ts';
import type { Bench, Found } from '../part.ts';

/** The lower bounds of this run on this disk: the cost of a call, of a durable file and of a process. */
export async function floor(bench: Bench): Promise<Found> {
  const timings = [
    ...(await bench.withServer('floor', async ({ csi }) => {
      const n = bench.quick ? 100 : 1000;
      await timed('warm up', 8, upTo(n), csi.probe);
      return [
        await timed('Probe', 1, upTo(n), csi.probe),
        await timed('Probe', 8, upTo(n), csi.probe),
      ];
    })),
    ...(await durable(bench)),
    ...(await processes(bench)),
  ];
  return { timings };
}

async function durable({ ground, quick }: Bench): Promise<readonly Timing[]> {
  const files = hostFiles();
  const directory = join(ground.simulator.filesetPath, 'durable');
  await mkdir(directory);
  const n = quick ? 50 : 400;
  const make = (prefix: string) => (i: number) =>
    files.createDurable(join(directory, `${prefix}${i}`), 'x'.repeat(700), 0o640);
  const changeAndSync = async (i: number): Promise<void> => {
    await files.unlink(join(directory, `a${i}`));
    await files.syncDirectory(directory);
  };
  const timings = [
    await timed('create and fsync one file', 1, upTo(n), make('a')),
    await timed('create and fsync one file', 8, upTo(n), make('b')),
    await timed('unlink and fsync directory', 1, upTo(n), changeAndSync),
  ];
  await rm(directory, { recursive: true });
  return timings;
}

async function processes({ ground, quick }: Bench): Promise<readonly Timing[]> {
  const n = quick ? 5 : 40;
  const run = hostRun({ mmDirectory: ground.simulator.bin });
  const mm = () => run(['mmgetstate', '-Y'], 'read');
  const small = () => run(['losetup', '--version'], 'read');
  return [
    await timed('mmgetstate of the simulator', 1, upTo(n), mm),
    await timed('a small process (losetup)', 1, upTo(n), small),
  ];
}
