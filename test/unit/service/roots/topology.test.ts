import { describe, expect, test } from 'vitest';
import type { Segments, TopologyRequirement } from '../../../../src/model/topology.ts';
import { block, from, mounted, serverOn, snap, spec } from '../../../support/memory/driver.ts';
import { cluster, count, everyOne, labelsOf, topology } from '../../../support/memory/places.ts';

describe('a node', () => {
  test.each([[[]], [[0]], [[1, 2]], [[0, 1, 2]]])(
    'that mounts %j says just that',
    async (which) => {
      const { start, key } = await cluster();
      const labels = await labelsOf(start('b1', which));
      expect([...labels]).toEqual(which.map((n) => [key(n), 'mounted']).sort());
    },
  );

  test('with one of the roots is ready, and with none is starting; without topology it needs all', async () => {
    const { start, systems, roots } = await cluster();
    expect(await start('b1', [1]).readiness()).toBe('ready');
    expect(await start('b2', []).readiness()).toBe('starting');
    const plain = serverOn(systems.on('b1'), 'b1', { roots });
    expect(await plain.readiness()).toBe('starting');
    systems.mount('b1', everyOne);
    const later = serverOn(systems.on('b1'), 'b1', { roots });
    expect(await later.readiness()).toBe('ready');
  });

  test('with a root that is not the one it knows never is, however many others it has', async () => {
    const { systems, roots } = await cluster();
    const driver = serverOn(systems.on('all'), 'all', {
      roots: [...roots, '/gpfs/fs1/csi-data/none'],
      topology,
    });
    await expect(driver.readiness()).rejects.toThrow(/none does not exist/);
    expect((await driver.survey()).usable).toHaveLength(count);
  });
});

describe('a new volume', () => {
  const at = (place: Readonly<Record<string, string>>): TopologyRequirement => ({
    requisite: [new Map(Object.entries(place))],
    preferred: [],
  });

  test('that cannot be used from there is refused with what to do, also when it exists elsewhere', async () => {
    const { driver, key, roots } = await cluster();
    const here = spec('pvc-1', { requirement: at({ [key(0)]: 'mounted' }) });
    const there = spec('pvc-1', { requirement: at({ [key(1)]: 'mounted' }) });
    const refusal = `volume "pvc-1" belongs in root ${roots[0] ?? ''} (${key(0)}), and none of the nodes asked for has it mounted, which are {${key(1)}: mounted}; mount file system fs1 there, or use a class with another root`;
    await expect(driver.volumes.create(there)).rejects.toThrow(refusal);
    const made = await driver.volumes.create(here);
    await expect(driver.volumes.create(there)).rejects.toThrow(refusal);
    expect(await driver.volumes.get(made.id)).toEqual(made);
  });

  test('of many places that do not do is refused with some of them', async () => {
    const { driver } = await cluster();
    const requisite = ['a', 'b', 'c', 'd', 'e'].map((zone) => new Map([['zone', zone]]));
    await expect(
      driver.volumes.create(spec('pvc-1', { requirement: { requisite, preferred: [] } })),
    ).rejects.toThrow('which are {zone: a} or {zone: b} or {zone: c} or 2 more; ');
  });

  test('is never refused for a preference alone, and a requirement of nothing is no requirement', async () => {
    const { driver, key } = await cluster();
    const preferred = [new Map([[key(2), 'mounted']])];
    await driver.volumes.create(spec('pvc-1', { requirement: { requisite: [], preferred } }));
    await expect(
      driver.volumes.create(spec('pvc-2', { requirement: { requisite: [], preferred: [] } })),
    ).rejects.toThrow('accessibility_requirements must have requisite or preferred topologies');
  });

  test('of a source is where the source is, or its copy where the class wants it', async () => {
    const { driver, key, roots } = await cluster();
    const inFirst = at({ [key(0)]: 'mounted' });
    const inSecond = at({ [key(1)]: 'mounted' });
    const source = await driver.volumes.create(spec('pvc-1', { requirement: inFirst }));
    const cut = await driver.snapshots.create(snap('snap-1', source));
    const of = (name: string, requirement: TopologyRequirement, parameters = {}) =>
      driver.volumes.create(
        spec(name, { source: from('snapshot', cut), range: undefined, requirement, parameters }),
      );
    expect((await of('pvc-2', inFirst)).topology).toEqual({ [key(0)]: 'mounted' });
    await expect(of('pvc-3', inSecond)).rejects.toThrow('and none of the nodes asked for has it');
    const across = { root: roots[1] ?? '', crossRootCopy: 'true' };
    await expect(of('pvc-4', inFirst, across)).rejects.toThrow(
      `root ${roots[1] ?? ''} (${key(1)})`,
    );
    expect((await of('pvc-4', inSecond, across)).topology).toEqual({ [key(1)]: 'mounted' });
  });

  test('is made as ever where topology is off, whatever is required of it', async () => {
    const { systems, roots, key } = await cluster();
    const plain = serverOn(systems.on('all'), 'all', { roots });
    const made = await plain.volumes.create(
      spec('pvc-1', { requirement: at({ [key(2)]: 'mounted' }) }),
    );
    expect(made).not.toHaveProperty('topology');
    await plain.volumes.create(spec('pvc-2', { requirement: { requisite: [], preferred: [] } }));
    const room = await plain.capacity.capacity({
      capabilities: [],
      parameters: new Map(),
      place: new Map([[key(2), 'mounted']]),
    });
    expect(room.available).toBeGreaterThan(0n);
    expect(room.maximum).toBeGreaterThan(0n);
  });
});

test('there is room for volumes of a root only where it is mounted, and no largest volume elsewhere', async () => {
  const { driver, key, roots } = await cluster();
  const room = (root: number | undefined, place: Segments | undefined) =>
    driver.capacity.capacity({
      capabilities: [block(), mounted()],
      parameters: new Map(root === undefined ? [] : [['root', roots[root] ?? '']]),
      place,
    });
  const at = (...which: readonly number[]) => new Map(which.map((n) => [key(n), 'mounted']));
  const anywhere = await room(1, undefined);
  expect(anywhere.available).toBeGreaterThan(0n);
  expect(await room(1, at(0, 1))).toEqual(anywhere);
  expect(await room(1, at(1))).toEqual(anywhere);
  expect(await room(undefined, at(0))).toEqual(await room(0, undefined));
  const nothing = { available: 0n, maximum: undefined, minimum: anywhere.minimum };
  expect(await room(1, at(0, 2))).toEqual(nothing);
  expect(await room(1, at())).toEqual(nothing);
  expect(await room(undefined, at(1))).toEqual(nothing);
  expect(await room(1, new Map([[key(1), 'true']]))).toEqual(nothing);
});

test('a volume is attached where its root is or was mounted, and nowhere else', async () => {
  const { start, driver, systems, roots } = await cluster();
  const b1 = start('b1', [0]);
  await labelsOf(b1);
  const attach = (id: string) =>
    driver.attachments.publish({
      id,
      node: 'b1',
      capability: block(),
      readonly: false,
      context: new Map(),
    });
  const first = await driver.volumes.create(spec('pvc-1'));
  const second = await driver.volumes.create(
    spec('pvc-2', { parameters: { root: roots[1] ?? '' } }),
  );
  await attach(first.id);
  await expect(attach(second.id)).rejects.toThrow(
    `node b1 has never run this driver with root ${roots[1] ?? ''}; is the driver's pod running there, and file system fs2 mounted?`,
  );
  systems.mount('b1', [0, 1]);
  // What it found before stands a moment.
  await driver.host.clock.sleep(5_000);
  await labelsOf(b1);
  await attach(second.id);
});
