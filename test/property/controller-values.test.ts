import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MiB, sector } from '../../src/model/bytes.ts';
import { DriverError, isFault } from '../../src/model/fault.ts';
import { localIdOf, parseId, publicId, shardOf, type RootId } from '../../src/model/ids.ts';
import { parameterKeys } from '../../src/model/class/parameter-keys.ts';
import { classParameters, ownParameters } from '../../src/model/class/parameters.ts';
import { maximumBytes, sizeOfGrown, sizeOfNew } from '../../src/model/sizing.ts';
import { positionOf, tokenOf } from '../../src/model/page-token.ts';
import { clusterWithRoot, dataFiles, serverOn, spec } from '../support/memory/driver.ts';

const awkward = [
  '../x',
  'a/b',
  '.',
  '..',
  '',
  ' ',
  'x\n',
  'x\ty',
  '-rf',
  '*',
  '😀',
  'x'.repeat(128),
  '\u00e9',
  'e\u0301',
  '\u212b',
  '\u00c5',
  'pvc-1',
  'PVC-1',
  'h-x',
  'x.1',
  'x.json',
  '名'.repeat(42),
  `h-${'a'.repeat(40)}`,
  '__proto__',
  'constructor',
];
const name = fc.oneof(fc.constantFrom(...awkward), fc.string({ unit: 'binary', maxLength: 128 }));

describe('ids', () => {
  test('are parts of a path whatever the name, differ where names do, and are found again', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(localIdOf(a)).toMatch(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/);
        expect(localIdOf(a) === localIdOf(b)).toBe(a === b);
        expect(shardOf(localIdOf(a))).toMatch(/^[0-9a-f]{3}$/);
        const id = publicId('0123abcd' as RootId, localIdOf(a));
        expect(parseId(id)).toEqual({ root: '0123abcd', local: localIdOf(a) });
      }),
    );
  });

  test('only what was given out is an id', () => {
    fc.assert(
      fc.property(name, (text) => {
        const parsed = parseId(text);
        if (parsed) expect(publicId(parsed.root, parsed.local)).toBe(text);
      }),
    );
  });

  test('volumes of awkward names are as many files as names, inside the root', async () => {
    const gpfs = await clusterWithRoot();
    const { volumes } = serverOn(gpfs);
    const before = gpfs.paths().filter((path) => !path.includes('/csi/')).length;
    const made = new Set<string>();
    for (const each of awkward) made.add((await volumes.create(spec(each))).id);
    for (const each of awkward) made.add((await volumes.create(spec(each))).id);
    expect(made.size).toBe(awkward.length);
    expect(dataFiles(gpfs)).toHaveLength(awkward.length);
    expect(gpfs.paths().filter((path) => !path.includes('/csi/'))).toHaveLength(before);
    for (const id of made) await volumes.remove(id);
    expect(dataFiles(gpfs)).toEqual([]);
  });
});

const bytes = fc.oneof(
  fc.bigInt({ min: 0n, max: 1n << 20n }),
  fc.bigInt({ min: 0n, max: 1n << 40n }),
  fc.bigInt({ min: maximumBytes - (2n << 20n), max: (1n << 63n) - 1n }),
  fc.bigInt({ min: 0n, max: 4096n }).map((many) => many * MiB),
);

/** The size, or undefined where none fits; any other error fails the test. */
function tryFit(size: () => bigint): bigint | undefined {
  try {
    return size();
  } catch (error) {
    if (isFault(error, 'size-out-of-range')) return undefined;
    throw error;
  }
}

const roundUp = (value: bigint, unit: bigint) => ((value + unit - 1n) / unit) * unit;

describe('sizes', () => {
  const source = fc.option(
    bytes.map((size) => roundUp(size || 1n, sector)),
    { nil: undefined },
  );

  const largest = (...sizes: readonly bigint[]) => sizes.reduce((a, b) => (a > b ? a : b));

  test('a new volume fits its range and its source, in whole MiB where the limit allows', () => {
    fc.assert(
      fc.property(bytes, bytes, source, (requiredBytes, limitBytes, sourceBytes = 0n) => {
        fc.pre(limitBytes === 0n || requiredBytes <= limitBytes);
        fc.pre(requiredBytes === 0n || requiredBytes >= sourceBytes);
        const range = { requiredBytes, limitBytes };
        const size = tryFit(() => sizeOfNew(range, MiB, sourceBytes || undefined));
        const least = largest(requiredBytes, MiB, sourceBytes);
        if (requiredBytes === 0n && sourceBytes === 0n) expectDefault(size, limitBytes);
        else expect(size).toBe(best(least, limitBytes));
      }),
      { numRuns: 2000 },
    );
  });

  /** The first that the limit allows, unless no volume can be so large. */
  function best(least: bigint, limitBytes: bigint): bigint | undefined {
    const sizes = [roundUp(least, MiB), roundUp(least, sector)];
    const fitting = sizes.find((each) => limitBytes === 0n || each <= limitBytes);
    return fitting !== undefined && fitting <= maximumBytes ? fitting : undefined;
  }

  function expectDefault(size: bigint | undefined, limitBytes: bigint): void {
    if (size === undefined) expect(limitBytes).toBeLessThan(MiB);
    else expect([limitBytes === 0n || size <= limitBytes, size % sector]).toEqual([true, 0n]);
  }

  test('a clone or restore is never smaller than its source', () => {
    fc.assert(
      fc.property(bytes, bytes, (requiredBytes, sourceBytes) => {
        fc.pre(requiredBytes > 0n && requiredBytes < sourceBytes);
        const range = { requiredBytes, limitBytes: 0n };
        expect(tryFit(() => sizeOfNew(range, MiB, sourceBytes))).toBeUndefined();
      }),
    );
  });

  test('an expansion never shrinks, never passes the limit, and is the same when repeated', () => {
    fc.assert(
      fc.property(bytes, bytes, bytes, (requiredBytes, limitBytes, any) => {
        const current = roundUp(any || 1n, sector);
        const range = { requiredBytes, limitBytes };
        const size = tryFit(() => sizeOfGrown(range, current));
        if (size === undefined) return;
        expect(size >= current && size >= requiredBytes && size % sector === 0n).toBe(true);
        if (limitBytes > 0n) expect(size <= limitBytes).toBe(true);
        expect(sizeOfGrown(range, size)).toBe(size);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('tokens', () => {
  const position = fc.record({ root: fc.constant('0123abcd'), id: name.map(localIdOf) });

  test('lead back to where they were given out, and fit into a token', () => {
    fc.assert(
      fc.property(position, fc.constantFrom('volumes', 'snapshots'), (at, list) => {
        const token = tokenOf(list, at);
        expect(positionOf(list, token)).toEqual(at);
        expect(token.length).toBeLessThanOrEqual(128);
        expect(() => positionOf(list === 'volumes' ? 'snapshots' : 'volumes', token)).toThrow(
          'starting_token',
        );
      }),
    );
  });

  test('anything else is refused', () => {
    const change = fc.tuple(
      position,
      fc.nat({ max: 100 }),
      fc.string({ minLength: 1, maxLength: 1 }),
    );
    const tampered = change.map(([at, index, letter]) => {
      const token = tokenOf('volumes', { ...at, id: at.id });
      const where = index % token.length;
      return [token, token.slice(0, where) + letter + token.slice(where + 1)] as const;
    });
    fc.assert(
      fc.property(tampered, ([good, bad]) => {
        fc.pre(good !== bad);
        expect(() => positionOf('volumes', bad)).toThrow(DriverError);
      }),
    );
    for (const bad of ['0', '-1', '9'.repeat(100_000), ' ', 'null', '\u0000'])
      expect(() => positionOf('volumes', bad)).toThrow('starting_token');
  });
});

describe('class parameters', () => {
  const known = Object.keys(parameterKeys);
  const nothing = { attributes: {}, options: {}, creation: {} };

  test('an unknown key is named, whatever it is; what the sidecars add is not looked at', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (key, value) => {
        fc.pre(!known.includes(key));
        const read = () => classParameters(new Map([[key, value]]));
        if (key.startsWith('csi.storage.k8s.io/')) expect(read()).toEqual(nothing);
        else expect(read).toThrow(JSON.stringify(key));
      }),
      { examples: [['csi.storage.k8s.io/pvc/name', 'x']] },
    );
    const own = ownParameters(
      new Map([
        ['csi.storage.k8s.io/pvc/name', 'x'],
        ['pool', 'data'],
      ]),
    );
    expect([...own]).toEqual([['pool', 'data']]);
  });

  test.each([
    ['root', 'relative/path'],
    ['pool', ''],
    ['pool', '-rf'],
    ['pool', 'a b'],
    ['dataReplicas', '0'],
    ['dataReplicas', '4'],
    ['metadataReplicas', '1.0'],
    ['metadataReplicas', 'NaN'],
  ])('%s cannot be %j', (key, value) => {
    expect(() => classParameters(new Map([[key, value]]))).toThrow(`"${key}"`);
  });
});
