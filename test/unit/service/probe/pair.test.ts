import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { probeOnce } from '../../../../src/service/probe/probe.ts';
import { probeTwoNodes } from '../../../../src/service/probe/pair/pair.ts';
import type { Personality } from '../../../../src/simulator/core/personality.ts';
import { clusterWithRoot, serverOn } from '../../../support/memory/driver.ts';
import { probeFiles, probeOn } from '../../../support/memory/probing.ts';
import { quiet } from '../../../support/memory/world.ts';

/** Two servers on one root, which each of them has probed for itself. */
async function pair(personality: Partial<Personality> = {}) {
  const gpfs = await clusterWithRoot({ personality });
  const b1 = gpfs.server('b1');
  const [a] = await serverOn(gpfs).roots.all();
  const [b] = await serverOn(b1, 'b1').roots.all();
  if (!a || !b) throw new Error('the root is not there');
  await quiet(gpfs);
  await probeOnce(probeOn(gpfs), a);
  const [hostA, hostB] = [probeOn(gpfs), probeOn(b1, 'b1')];
  return {
    gpfs,
    store: a,
    onA: () => probeTwoNodes(hostA, a),
    onB: () => probeTwoNodes(hostB, b),
    answer: async () => (await a.abilities.kept())?.abilities.redirectAttached,
  };
}

describe('a probe of two nodes', () => {
  test.each([
    [{}, true],
    [{ redirectOpen: false }, false],
    [{ redirectKeeps: false }, false],
    [{ redirectKeeps: false, redirectParent: true }, false],
  ])('of a GPFS with %j keeps the answer %s, and leaves nothing', async (setting, wanted) => {
    const { gpfs, onA, onB, answer, store } = await pair(setting);
    expect(await Promise.all([onA(), onB()])).toEqual(['settled', 'settled']);
    expect(await answer()).toBe(wanted);
    expect(await store.abilities.read()).toMatchObject({ redirectAttached: wanted });
    expect(probeFiles(gpfs)).toEqual([]);
    gpfs.resetCounts();
    expect(await onA()).toBe('settled');
    expect([...gpfs.total.commands]).toEqual([]);
  });

  test('a server that comes later finds the invitation', async () => {
    const { gpfs, onA, onB, answer } = await pair();
    const first = onA();
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    expect(probeFiles(gpfs).map((path) => basename(path))).toEqual(['invite']);
    expect(await Promise.all([first, onB()])).toEqual(['settled', 'settled']);
    expect(await answer()).toBe(true);
  });

  test('is not begun alone, and given up where nobody takes part', async () => {
    const { gpfs, onA, onB, answer } = await pair();
    expect(await onA()).toBe('alone');
    expect(probeFiles(gpfs)).toEqual([]);
    gpfs.clock.tick(600_000);
    expect(await onB()).toBe('alone');
    expect(await answer()).toBeUndefined();
  });

  test.each([20, 40, 60, 90, 120, 200])(
    'with one that dies at its call %i settles nothing wrongly, and can be had again',
    async (n) => {
      const { gpfs, store, onA, onB, answer } = await pair();
      gpfs.server('b1').crashAt(n, 'after');
      const [a] = await Promise.all([onA(), onB().catch(() => 'dead')]);
      if (a !== 'settled') expect(await answer()).toBeUndefined();
      else expect(await answer()).toBe(true);
      gpfs.server('b1').heal();
      gpfs.clock.tick(2 * 3_600_000);
      for (const node of ['a1', 'b1']) await store.nodes.beat(node);
      await probeOnce(probeOn(gpfs, 'a1', { version: 'next' }), store);
      expect(probeFiles(gpfs)).toEqual([]);
      expect(await Promise.all([onA(), onB()])).toEqual(['settled', 'settled']);
      expect(await answer()).toBe(true);
    },
  );
});
