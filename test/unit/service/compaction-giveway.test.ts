import { describe, expect, test } from 'vitest';
import { goneAfterMs } from '../../../src/store/nodes.ts';
import { clusterWithRoot, serverOn, snap, tend } from '../../support/driver.ts';
import { quiet } from '../../support/scenarios.ts';
import { all, bytesOf, create, cut, drop, idOf, write } from '../../support/site.ts';
import { expectSound, living } from '../../support/truth.ts';

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
    const [a1, b1] = [serverOn(gpfs), serverOn(gpfs.server('b1'), 'b1')];
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
    return { here, b1, release, round };
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
    const { here, b1, release, round } = await stalled();
    await b1.snapshots.create(snap('s2', idOf(here, 'v')));
    release();
    expect(await round).toBe('ended');
    expect(bytesOf(here, 'snapshots/s2')).toEqual(all.map(() => 'last'));
    expectSound(here.gpfs);
  });

  test('is refused once where that server is gone, and finds the way free then', async () => {
    const { here, b1, release, round } = await stalled();
    here.gpfs.crashed = true;
    here.gpfs.clock.tick(goneAfterMs + 1);
    await expect(b1.snapshots.create(snap('s2', idOf(here, 'v')))).rejects.toThrow(/which is gone/);
    await quiet(here.gpfs);
    await b1.snapshots.create(snap('s2', idOf(here, 'v')));
    release();
    expect(await round).toMatch(/cannot be used/);
    expect(bytesOf(here, 'snapshots/s2')).toEqual(all.map(() => 'last'));
    expectSound(here.gpfs);
  });
});
