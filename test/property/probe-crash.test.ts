import { expect, test } from 'vitest';
import { probeOnce } from '../../src/service/probe/probe.ts';
import { clusterWithRoot, serverOn } from '../support/memory/driver.ts';
import { callsIn, crashes } from '../support/memory/calls.ts';
import { probeFiles, probeOn } from '../support/memory/probing.ts';
import { quiet } from '../support/memory/world.ts';

/** A simulated GPFS with an open root. */
async function setup() {
  const gpfs = await clusterWithRoot();
  const [store] = await serverOn(gpfs).roots.all();
  if (!store) throw new Error('the root is not there');
  await quiet(gpfs);
  return { gpfs, store };
}

test('a probe that does not end at any call leaves nothing once the node has probed again', async () => {
  const { count, changing } = await callsIn(setup, ({ gpfs, store }) =>
    probeOnce(probeOn(gpfs), store),
  );
  expect(count).toBeGreaterThan(60);
  for (const [n, when] of crashes(changing)) {
    const { gpfs, store } = await setup();
    gpfs.crashAt(n, when);
    await probeOnce(probeOn(gpfs), store).catch(() => undefined);
    gpfs.heal();
    const found = await probeOnce(probeOn(gpfs), store);
    expect(found.complete, `crash ${when} call ${n}`).toBe(true);
    expect(probeFiles(gpfs), `crash ${when} call ${n}`).toEqual([]);
  }
});
