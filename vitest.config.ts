import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Against a hang, not a measure: the tests wait for a disk that others use as well.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Two cores are what CI has; more workers only wait for one another.
    maxWorkers: 2,
  },
});
