import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startUpkeep } from '../../../../src/cli/server/upkeep.ts';
import { silentLog, type Fields } from '../../../../src/observe/log.ts';
import { sweepRoot } from '../../../../src/service/maintenance.ts';
import { clusterWithRoot, serverOn, snap, spec, testRoot } from '../../../support/memory/driver.ts';
import { attach } from '../../../support/memory/world.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const minuteMs = 60_000;

test('a server without requests writes no line at info in an hour of heartbeats and rounds, and in a sweep', async () => {
  const gpfs = await clusterWithRoot();
  const lines: string[] = [];
  const say = (_: Fields, message: string) => void lines.push(message);
  const log = { ...silentLog, info: say, warn: say, error: say };
  const driver = serverOn(gpfs, 'a1', { log });
  // It has work that waits: a tombstone above a volume that is in use.
  const { id } = await driver.volumes.create(spec('v'));
  const { id: snapshot } = await driver.snapshots.create(snap('s', { id }));
  await driver.attachments.publish(attach(id));
  await driver.snapshots.remove(snapshot);
  let rounds = 0;
  const upkeep = startUpkeep(driver, {
    found: () => {
      rounds += 1;
    },
    controller: undefined,
    reconcile: () => Promise.resolve([]),
    probe: () => Promise.resolve(),
    pair: undefined,
    trim: () => Promise.resolve(undefined),
    log,
  });
  const pass = async (minutes: number): Promise<void> => {
    for (let minute = 0; minute < minutes; minute++) {
      gpfs.clock.tick(minuteMs);
      await vi.advanceTimersByTimeAsync(minuteMs);
    }
  };
  await pass(5);
  // At the start it says that it is ready, and why the tombstone waits.
  expect(lines).toContain('readiness changed');
  lines.length = 0;
  rounds = 0;
  await pass(60);
  await sweepRoot(driver.host, await driver.roots.byPath(testRoot));
  expect(rounds).toBeGreaterThan(100);
  expect(lines).toEqual([]);
  await upkeep.stop();
});
