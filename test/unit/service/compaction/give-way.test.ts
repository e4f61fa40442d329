import { describe, expect, test } from 'vitest';
import { silentLog } from '../../../../src/observe/log.ts';
import { errnoError } from '../../../../src/run/files.ts';
import { goneAfterMs } from '../../../../src/store/nodes.ts';
import { clusterWithRoot, serverOn, snap, tend } from '../../../support/memory/driver.ts';
import { allow, quiet } from '../../../support/memory/world.ts';
import {
  all,
  bytesOf,
  create,
  cut,
  drop,
  idOf,
  restore,
  write,
} from '../../../support/memory/site.ts';
import { expectSound, living } from '../../../support/memory/truth.ts';

describe('a request that wants a volume while it is compacted', () => {
  /** The compaction of `v` by a1 stands before its redirect. */
  const stalled = async () => {
    const [reached, gate] = [Promise.withResolvers<null>(), Promise.withResolvers<null>()];
    let closed = false;
    const gpfs = await clusterWithRoot({
      schedule: async (label) => {
        if (!closed || !label.includes('mmclone redirect')) return;
        reached.resolve(null);
        await gate.promise;
      },
    });
    const said: string[] = [];
    const say = (_: unknown, message: string) => void said.push(message);
    const log = { ...silentLog, info: say, warn: say };
    const [a1, b1] = [serverOn(gpfs), serverOn(gpfs.server('b1'), 'b1', { log })];
    const [store] = await a1.roots.all();
    await b1.roots.all();
    const here = { gpfs, driver: a1, root: store?.id ?? '' };
    await create(here, 'v');
    await cut(here, 's', 'v');
    write(here, 'v', 'later', ...all);
    await drop(here, 's');
    await tend(a1);
    // The same once more, stopped at the command.
    await cut(here, 's', 'v');
    write(here, 'v', 'last', ...all);
    await drop(here, 's');
    closed = true;
    const round = tend(a1).then(
      () => 'ended',
      (error: unknown) => String(error),
    );
    await reached.promise;
    const release = (): void => {
      gate.resolve(null);
    };
    return { here, b1, said, release, round };
  };

  test('stops it at once in the same process', async () => {
    const { here, release, round } = await stalled();
    await cut(here, 's2', 'v');
    release();
    expect(await round).toBe('ended');
    expect(Object.keys(Object.fromEntries(living(here.gpfs)))).toContain('snapshots/s2');
    expect(bytesOf(here, 'volumes/v')).toEqual(all.map(() => 'last'));
    expectSound(here.gpfs);
  });

  test('asks another server to stop, which it does', async () => {
    const { here, b1, said, release, round } = await stalled();
    await b1.snapshots.create(snap('s2', idOf(here, 'v')));
    expect(said.filter((line) => line.includes('waits for another server'))).toHaveLength(1);
    release();
    expect(await round).toBe('ended');
    expect(bytesOf(here, 'snapshots/s2')).toEqual(all.map(() => 'last'));
    expectSound(here.gpfs);
  });

  test('is refused once where that server is gone, and finds the way free then', async () => {
    const { here, b1, said, release, round } = await stalled();
    here.gpfs.crashed = true;
    here.gpfs.clock.tick(goneAfterMs + 1);
    await expect(b1.snapshots.create(snap('s2', idOf(here, 'v')))).rejects.toThrow(/which is gone/);
    await quiet(here.gpfs);
    expect(said).toContain('finishing an operation that its server left half done');
    await b1.snapshots.create(snap('s2', idOf(here, 'v')));
    release();
    expect(await round).toMatch(/cannot be used/);
    expect(bytesOf(here, 'snapshots/s2')).toEqual(all.map(() => 'last'));
    expectSound(here.gpfs);
  });
});

test('a snapshot whose compaction gave way while GPFS did not answer is no unfinished one', async () => {
  const [reached, gate] = [Promise.withResolvers<null>(), Promise.withResolvers<null>()];
  const now = { stopped: false, silent: false };
  const gpfs = await clusterWithRoot({
    personality: { redirectParent: true },
    schedule: async (label) => {
      if (now.silent && label.includes('mmclone show')) throw errnoError('EIO', 'read', label);
      if (!now.stopped || !label.includes('mmclone redirect')) return;
      reached.resolve(null);
      await gate.promise;
    },
  });
  const driver = serverOn(gpfs);
  const [store] = await driver.roots.all();
  const here = { gpfs, driver, root: store?.id ?? '' };
  await allow(here, { redirectParent: true });
  await create(here, 'v');
  await cut(here, 's0', 'v');
  write(here, 'v', 'x', ...all);
  await cut(here, 's1', 'v');
  write(here, 'v', 'y', ...all);
  await drop(here, 's0');
  now.stopped = true;
  const round = Promise.allSettled([tend(driver)]);
  await reached.promise;
  now.silent = true;
  await expect(restore(here, 'r', 's1')).rejects.toThrow(/s1/);
  expect((await store?.snapshots.read('s1'))?.value.state).toBe('ready');
  Object.assign(now, { silent: false, stopped: false });
  gate.resolve(null);
  await round;
  await quiet(gpfs);
  await restore(here, 'r', 's1').catch(() => quiet(gpfs));
  await restore(here, 'r', 's1');
  expect(bytesOf(here, 'volumes/r')).toEqual(all.map(() => 'x'));
});
