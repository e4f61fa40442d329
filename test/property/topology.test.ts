import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFault } from '../../src/model/fault.ts';
import { mountedWord, type Segments } from '../../src/model/topology.ts';
import { spec } from '../support/memory/driver.ts';
import type { FileSystems } from '../support/memory/filesystems.ts';
import { cluster, everyOne, labelsOf } from '../support/memory/places.ts';

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

test('a volume is made exactly where somebody who was asked for can use it, and is reported there alone', () =>
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
