import { defineConfig } from 'vitest/config';

/** How long a test of each project may take: against a hang, and a word on what belongs where. */
const limitsMs = {
  // On a simulator in memory and a clock that is turned by hand, a test waits for nothing.
  unit: 10_000,
  // Reads every file of the project, and asks the linter for its rules.
  tidy: 60_000,
  // helm runs as a program; the first of these tests also waits until Go has built it.
  chart: 120_000,
  // Thousands of made-up stories in memory, and some on real disks.
  property: 300_000,
  // Real file systems, loop devices and processes, on a disk that others use as well.
  contract: 300_000,
};

const includes = { tidy: 'test/tidy.test.ts' };

/** Projects whose tests run the driver as a program. */
const programs = ['property', 'contract'];

/** Projects whose files leave nothing in their process: it serves them all, and loads the source once. */
const shared = ['unit'];

export default defineConfig({
  test: {
    // Two cores are what CI has; more workers only wait for one another.
    maxWorkers: 2,
    projects: Object.entries(limitsMs).map(([name, limitMs]) => ({
      extends: true,
      test: {
        name,
        include: [{ ...includes }[name] ?? `test/${name}/**/*.test.ts`],
        globalSetup: programs.includes(name) ? ['test/support/disk/program.ts'] : [],
        isolate: !shared.includes(name),
        testTimeout: limitMs,
        hookTimeout: Math.max(limitMs, 300_000),
      },
    })),
  },
});
