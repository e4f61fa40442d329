import { cpus, loadavg, release, totalmem } from 'node:os';

/** The machine that was measured, without which the numbers say little. */
export const machine = () => ({
  cores: cpus().length,
  processor: cpus()[0]?.model ?? 'unknown',
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
});

/** Load averages of one, five and fifteen minutes. */
export const load = (): string =>
  loadavg()
    .map((each) => each.toFixed(2))
    .join(' ');
