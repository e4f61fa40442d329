import { describe, expect, test } from 'vitest';
import { unprobed, type Abilities, type Trial } from '../../../../src/model/abilities.ts';
import { probeNow, probeOnce } from '../../../../src/service/probe/probe.ts';
import type { Personality } from '../../../../src/simulator/core/personality.ts';
import { clusterWithRoot, serverOn } from '../../../support/memory/driver.ts';
import { probeFiles, probeOn } from '../../../support/memory/probing.ts';
import { quiet } from '../../../support/memory/world.ts';

/** A simulated GPFS that behaves so, with an open root. */
async function setup(personality: Partial<Personality> = {}) {
  const gpfs = await clusterWithRoot({ personality });
  const [store] = await serverOn(gpfs).roots.all();
  if (!store) throw new Error('the root is not there');
  await quiet(gpfs);
  return { gpfs, store, probe: () => probeOnce(probeOn(gpfs), store) };
}

const answers: readonly [
  setting: Partial<Personality>,
  trial: Trial,
  kind: 'yes' | 'no',
  ability?: Partial<Abilities>,
][] = [
  [{ snapOpen: true }, 'snapOpen', 'yes', { snapOpen: true }],
  [{ snapOpen: false }, 'snapOpen', 'no', { snapOpen: false }],
  [{ redirectOpen: true }, 'redirectOpen', 'yes', { redirectOpen: true }],
  [{ redirectOpen: false }, 'redirectOpen', 'no', { redirectOpen: false }],
  [{ snapOpen: false, redirectOpen: true }, 'redirectOpen', 'yes', { redirectOpen: true }],
  [{ redirectParent: true }, 'redirectParent', 'yes', { redirectParent: true }],
  [{ redirectParent: false }, 'redirectParent', 'no', { redirectParent: false }],
  [{ loopDirectIo: true }, 'directIo', 'yes', { directIo: true }],
  [{ loopDirectIo: false }, 'directIo', 'no', { directIo: false }],
  [{ loopDirectIo: false }, 'zeroInClone', 'yes', { zeroInClone: true }],
  [{ zeroInClone: true }, 'zeroInClone', 'yes', { zeroInClone: true }],
  [{ zeroInClone: false }, 'zeroInClone', 'no', { zeroInClone: false }],
  [{ punchHole: true }, 'punchHole', 'yes', { punchHole: true }],
  [{ punchHole: false }, 'punchHole', 'no', { punchHole: false }],
  [{ punchHole: false }, 'zeroInClone', 'yes', { zeroInClone: true }],
  [{ renameParent: true }, 'renameParent', 'yes', { renameParent: true }],
  [{ renameParent: false }, 'renameParent', 'no', { renameParent: false }],
  [{ linkCount: true }, 'linkCount', 'yes', { linkCount: true }],
  [{ linkCount: false }, 'linkCount', 'no', { linkCount: false }],
  [{ chmodParent: true }, 'chmodParent', 'yes'],
  [{ chmodParent: false }, 'chmodParent', 'no'],
  [{ writeParent: true }, 'writeParent', 'yes'],
  [{ writeParent: false }, 'writeParent', 'no'],
];

describe('the probe', () => {
  test.each(answers)('of a GPFS with %j: %s is %s', async (setting, trial, kind, ability = {}) => {
    const { gpfs, store, probe } = await setup(setting);
    const { outcomes, complete } = await probe();
    expect(outcomes?.[trial]).toMatchObject({ kind });
    expect(complete).toBe(true);
    expect(await store.abilities.read()).toMatchObject(ability);
    expect(probeFiles(gpfs)).toEqual([]);
  });

  test.each(['EROFS', 'EPERM', 'EBUSY'] as const)(
    'says which error a parent with children is kept by: %s',
    async (removeParent) => {
      const { outcomes } = await (await setup({ removeParent })).probe();
      expect(outcomes?.['removeParent']).toMatchObject({ kind: 'no', why: removeParent });
    },
  );

  test('measures how long a parent is kept after its last child, and each command', async () => {
    const { outcomes, latencyMs } = await (
      await setup({ deleteWindowMs: 1000, latencyMs: 300 })
    ).probe();
    const { ms = 0 } = outcomes?.['removeChildless'] ?? {};
    expect(ms).toBeGreaterThanOrEqual(1000);
    expect(ms).toBeLessThan(2100);
    expect(latencyMs).toMatchObject({
      'mmclone snap': 300,
      'mmclone copy': 300,
      'mmclone show': 300,
      'mmclone redirect': 300,
    });
  });

  test('gives a parent up that stays for ever, and the sweep of a later probe takes it away', async () => {
    const { gpfs, store, probe } = await setup({ deleteWindowMs: 3_600_000 });
    expect((await probe()).outcomes?.['removeChildless']).toMatchObject({ kind: 'no' });
    expect(probeFiles(gpfs)).not.toEqual([]);
    gpfs.set({ deleteWindowMs: 0 });
    await probeOnce(probeOn(gpfs), store);
    expect(probeFiles(gpfs)).toEqual([]);
  });

  test('a full file system is no answer: nothing is settled, and the next start tries again', async () => {
    const { gpfs, store, probe } = await setup();
    gpfs.set({ full: true });
    await expect(probe()).rejects.toMatchObject({ fault: { kind: 'no-space' } });
    gpfs.set({ full: false });
    gpfs.failAt(30, 'before');
    const { complete, abilities } = await probe();
    expect(complete).toBe(false);
    expect(abilities).not.toHaveProperty('directIo');
    expect(await store.abilities.read()).toMatchObject({ directIo: unprobed.directIo });
    expect(await probe()).toMatchObject({ complete: true, abilities: { directIo: true } });
    expect(probeFiles(gpfs)).toEqual([]);
  });
});

describe('who probes', () => {
  test('the first server; the others read what it kept', async () => {
    const { gpfs, store, probe } = await setup();
    const first = await probe();
    gpfs.resetCounts();
    const b1 = gpfs.server('b1');
    expect(await probeOnce(probeOn(b1, 'b1'), store)).toEqual(first);
    expect([...gpfs.total.commands]).toEqual([['mmlsfs', 1]]);
  });

  test.each([
    ['another version of the driver', { version: '9.9.9' }, {}],
    ['another release of GPFS', {}, { release: '6.0' as const }],
  ])('%s probes again', async (_, self, change) => {
    const { gpfs, store, probe } = await setup();
    const first = await probe();
    gpfs.clock.tick(1000);
    gpfs.set({ ...change, redirectParent: true });
    const second = await probeOnce(probeOn(gpfs, 'a1', self), store);
    expect(second.probedMs).toBeGreaterThan(first.probedMs);
    expect(await store.abilities.read()).toMatchObject({ redirectParent: true });
  });

  test('a damaged abilities.json is found out again, one of a newer version is left alone', async () => {
    const { gpfs, store, probe } = await setup();
    const path = store.layout.abilities;
    await gpfs.files.createDurable(path, '{ "format": 1, "abilities": 7 }', 0o640);
    await expect(store.abilities.read()).rejects.toMatchObject({
      fault: { kind: 'unreadable-record' },
    });
    expect(await probe()).toMatchObject({ complete: true });
    await gpfs.files.unlink(path);
    await gpfs.files.createDurable(path, '{ "format": 9 }', 0o640);
    await expect(probe()).rejects.toThrow('upgrade the driver');
    expect(await gpfs.files.read(path)).toBe('{ "format": 9 }');
  });

  test('what two nodes found out together outlives another probe of the same GPFS', async () => {
    const { gpfs, store, probe } = await setup();
    const kept = await probe();
    await store.abilities.keep({
      ...kept,
      abilities: { ...kept.abilities, redirectAttached: true },
    });
    await probeNow(probeOn(gpfs), store, kept.release ?? '');
    expect(await store.abilities.read()).toMatchObject({ redirectAttached: true });
    await probeNow(probeOn(gpfs), store, 'another');
    expect(await store.abilities.read()).toMatchObject({ redirectAttached: false });
  });
});

describe('a probe that does not end', () => {
  test('beside another one on a second server disturbs neither', async () => {
    const { gpfs, store } = await setup();
    const [b1, b1Store] = [
      gpfs.server('b1'),
      (await serverOn(gpfs.server('b1'), 'b1').roots.all())[0],
    ];
    if (!b1Store) throw new Error('the root is not there');
    const found = await Promise.all([
      probeOnce(probeOn(gpfs), store),
      probeOnce(probeOn(b1, 'b1'), b1Store),
    ]);
    expect(found.map(({ complete }) => complete)).toEqual([true, true]);
    expect(probeFiles(gpfs)).toEqual([]);
  });

  test('on a node that never comes back is swept by another after an hour', async () => {
    const { gpfs, store } = await setup();
    gpfs.crashAt(50, 'after');
    await probeOnce(probeOn(gpfs), store).catch(() => undefined);
    expect(probeFiles(gpfs)).not.toEqual([]);
    const b1 = gpfs.server('b1');
    const [b1Store] = await serverOn(b1, 'b1').roots.all();
    if (!b1Store) throw new Error('the root is not there');
    await probeOnce(probeOn(b1, 'b1'), b1Store);
    expect(probeFiles(gpfs)).not.toEqual([]);
    gpfs.clock.tick(2 * 3_600_000);
    await probeOnce(probeOn(b1, 'b1', { version: 'next' }), b1Store);
    expect(probeFiles(gpfs)).toEqual([]);
  });
});
