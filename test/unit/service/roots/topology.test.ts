import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RootId } from '../../../../src/model/ids.ts';
import {
  mountedWord,
  rootTopology,
  type Segments,
  type TopologyRequirement,
} from '../../../../src/model/topology.ts';
import { isFault } from '../../../../src/model/fault.ts';
import type { Driver } from '../../../../src/service/driver.ts';
import { nodeTopology } from '../../../../src/service/roots/topology.ts';
import { block, from, mounted, serverOn, snap, spec } from '../../../support/memory/driver.ts';
import { fileSystems, type FileSystems } from '../../../support/memory/filesystems.ts';

const topology = rootTopology('gpfs-clone.csi');
const count = 3;
const everyOne = [0, 1, 2];

/** A cluster whose node `all` has every file system, as the sidecars' node must. */
async function cluster() {
  const systems = await fileSystems(count);
  const { roots } = systems;
  const start = (node: string, which: readonly number[]): Driver => {
    systems.mount(node, which);
    return serverOn(systems.on(node), node, { roots, topology });
  };
  const driver = start('all', everyOne);
  const ids = (await driver.roots.all()).map(({ id }) => id);
  const key = (n: number) => topology.keyOf(ids[n] ?? ('' as RootId));
  return { systems, start, driver, key, roots };
}

/** What the kubelet would make labels of. */
async function labelsOf(driver: Driver): Promise<Segments> {
  const node = nodeTopology(topology, driver.host.clock);
  node.update((await driver.survey()).usable);
  return new Map(Object.entries(await node.here()));
}

/** As the scheduler compares the affinity of a volume with the labels of a node. */
const matches = (wanted: Readonly<Record<string, string>> = {}, labels: Segments): boolean =>
  Object.entries(wanted).every(([key, value]) => labels.get(key) === value);

const outcome = <T>(work: Promise<T>): Promise<T | 'out of reach'> =>
  work.catch((error: unknown) => {
    if (isFault(error, 'out-of-reach')) return 'out of reach' as const;
    throw error;
  });

const volumeFiles = (systems: FileSystems): readonly string[] =>
  systems.paths().filter((path) => /\/(volumes|records)\//.test(path));

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

/** A place as a caller may name it: a node, or keys of roots, beside what no node of ours ever said. */
const anyRecipe = fc.record({
  base: fc.oneof(fc.nat({ max: 3 }), fc.subarray(everyOne)),
  strange: fc.subarray(['zone', '__proto__', 'no such root', 'another value', 'another driver']),
  about: fc.constantFrom(...everyOne),
});

type Recipe = typeof anyRecipe extends fc.Arbitrary<infer T> ? T : never;

function placeOf(
  { base, strange, about }: Recipe,
  labels: readonly Segments[],
  key: (n: number) => string,
): Segments {
  const words: Readonly<Record<string, readonly [string, string]>> = {
    zone: ['topology.kubernetes.io/zone', 'a'],
    'no such root': ['gpfs-clone.csi/root-00000000', mountedWord],
    'another value': [key(about), 'true'],
    'another driver': [key(about).replace('gpfs-clone', 'other'), mountedWord],
  };
  const known =
    typeof base === 'number'
      ? [...(labels[base % labels.length] ?? [])]
      : base.map((n) => [key(n), mountedWord] as const);
  return new Map([
    ...strange.map((each) => words[each] ?? ([each, mountedWord] as const)),
    ...known,
  ]);
}

const anySet = fc.subarray(everyOne);

test('a volume is made exactly where somebody who was asked for can use it, and is told to be there alone', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(anySet, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(...everyOne),
      fc.array(anyRecipe, { minLength: 1, maxLength: 3 }),
      async (sets, root, recipes) => {
        const { systems, start, driver, key, roots } = await cluster();
        const nodes = sets.map((which, n) => start(`b${n}`, which));
        const labels = await Promise.all(nodes.map(labelsOf));
        const requisite = recipes.map((recipe) => placeOf(recipe, labels, key));
        const before = volumeFiles(systems);
        const request = spec('pvc-1', {
          parameters: { root: roots[root] ?? '' },
          requirement: { requisite, preferred: requisite.slice(1) },
        });
        const made = await outcome(driver.volumes.create(request));
        const reachable = requisite.some((place) => place.get(key(root)) === 'mounted');
        expect(made !== 'out of reach').toBe(reachable);
        if (made === 'out of reach') {
          expect(volumeFiles(systems)).toEqual(before);
          return;
        }
        for (const [n, which] of sets.entries())
          expect(matches(made.topology, labels[n] ?? new Map())).toBe(which.includes(root));
        expect(await driver.volumes.create(request)).toEqual(made);
        expect(await driver.volumes.get(made.id)).toEqual(made);
        const { items } = await driver.volumes.list({ max: 0, token: '' });
        expect(items).toEqual([made]);
      },
    ),
    { numRuns: 150 },
  ));

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
