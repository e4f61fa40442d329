import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultRule, judge, type Above, type Chain } from '../../../src/model/compaction.ts';
import type { FileKey } from '../../../src/model/ids.ts';

const key = (n: number): FileKey => `t.${n}-0` as FileKey;
const child = (heldBytes: number, bytes = 1000) => ({
  heldBytes: BigInt(heldBytes),
  bytes: BigInt(bytes),
});

/** A clone parent that holds so much; of one child unless told otherwise. */
const above = (
  n: number,
  held: number,
  rest: Partial<Pick<Above, 'dead' | 'children'>> = {},
): Above => ({ key: key(n), dead: true, heldBytes: BigInt(held), children: [child(0)], ...rest });

const chain = (held: number, parents: readonly Above[], rest: Partial<Chain> = {}): Chain => ({
  kind: 'volume',
  heldBytes: BigInt(held),
  above: parents,
  maxDepth: 0,
  redirectParent: false,
  deep: 250,
  unchanged: false,
  ...rest,
});

const kept = { dead: false };

describe('one tombstone above a volume', () => {
  test('is absorbed while it holds at most twice what was written since', () => {
    expect(judge(chain(50, [above(1, 100)]), defaultRule)).toEqual({
      until: null,
      reason: 'small',
    });
    expect(judge(chain(49, [above(1, 100)]), defaultRule)).toBeUndefined();
  });

  test('is absorbed at no cost when it holds nothing', () => {
    expect(judge(chain(0, [above(1, 0), above(2, 900)]), defaultRule)?.until).toBe(key(2));
  });

  test('stays while somebody can name it', () => {
    expect(judge(chain(500, [above(1, 10, kept)]), defaultRule)).toBeUndefined();
  });
});

describe('parents that hold nothing', () => {
  const empties = (n: number, rest = {}) =>
    Array.from({ length: n }, (_, at) => above(at, 0, rest));
  const many = { children: Array.from({ length: 9 }, () => child(0)) };

  test('are passed by a volume, however many read through them, and also as kept snapshots', () => {
    for (const rest of [{}, kept, many])
      expect(judge(chain(0, [...empties(19, rest), above(20, 900)]), defaultRule)).toEqual({
        until: key(20),
        reason: 'empty',
      });
  });

  test('are passed by a parent too', () => {
    const parents = [...empties(2, many), above(2, 900, many)];
    expect(judge(chain(0, parents, { kind: 'parent' }), defaultRule)?.until).toBe(key(2));
  });

  test('stay where the next clone of the volume shares the only one', () => {
    const base = above(9, 900, many);
    const unchanged = { unchanged: true };
    expect(judge(chain(0, [...empties(1, many), base], unchanged), defaultRule)).toBeUndefined();
    expect(judge(chain(0, [...empties(2, many), base], unchanged), defaultRule)?.until).toBe(
      key(9),
    );
  });
});

test('a chain past half of the greatest depth is passed, up to what is large against it', () => {
  const shared = { children: [child(0), child(0)] };
  const parents = Array.from({ length: 8 }, (_, at) => above(at, 10, shared));
  const deep = { deep: 8 };
  expect(judge(chain(10, parents, deep), defaultRule)).toBeUndefined();
  const deeper = [...parents, above(8, 1000, shared)];
  const passed = { until: key(8), reason: 'past half of the greatest depth' };
  expect(judge(chain(10, deeper, deep), defaultRule)).toEqual(passed);
  expect(judge(chain(10, deeper, { ...deep, kind: 'parent' }), defaultRule)).toEqual(passed);
  // One at least, or nothing would become shallower.
  const large = [above(0, 1000, shared), ...parents.map((each) => ({ ...each, heldBytes: 5000n }))];
  expect(judge(chain(1, large, deep), defaultRule)?.until).toBe(large[1]?.key);
});

test('dead blocks beyond three quarters of what the reader needs at least are absorbed', () => {
  const parents = [above(1, 21), above(2, 45), above(3, 100)];
  expect(judge(chain(10, parents), defaultRule)?.reason).toBe('dead share');
  expect(judge(chain(8, [above(1, 17), above(2, 45), above(3, 100)]), defaultRule)).toBeUndefined();
});

test('a tombstone of two volumes goes only where both have written most of it again', () => {
  const shared = (...held: number[]) =>
    above(1, 800, { children: held.map((each) => child(each)) });
  expect(judge(chain(700, [shared(700, 700)]), defaultRule)?.reason).toBe(
    'frees more than it copies',
  );
  expect(judge(chain(500, [shared(500, 500)]), defaultRule)).toBeUndefined();
});

test('a class that bounds the depth gets it, past kept snapshots too', () => {
  const parents = [above(1, 900, kept), above(2, 900, kept)];
  expect(judge(chain(1, parents, { maxDepth: 1 }), defaultRule)).toEqual({
    until: key(2),
    reason: 'deeper than its class allows',
  });
  expect(judge(chain(1, parents, { maxDepth: 2 }), defaultRule)).toBeUndefined();
});

describe('tombstones behind kept snapshots', () => {
  const stuck = (n: number) => Array.from({ length: n }, (_, at) => above(10 + at, 10));
  const retained = (n: number) => [above(1, 10, kept), above(2, 10, kept), ...stuck(n)];

  test('are passed once they are many, down to the first that is large', () => {
    const base = above(99, 1000);
    expect(judge(chain(10, [...retained(16), base]), defaultRule)).toEqual({
      until: key(99),
      reason: 'stuck',
    });
    expect(judge(chain(10, [...retained(15), base]), defaultRule)).toBeUndefined();
  });

  test('are passed once they hold much', () => {
    const parents = [above(1, 10, kept), above(2, 30), above(3, 60), above(4, 100)];
    expect(judge(chain(10, parents), defaultRule)).toEqual({ until: null, reason: 'stuck' });
  });

  test('are left to the snapshots where GPFS redirects parents', () => {
    expect(judge(chain(10, retained(40), { redirectParent: true }), defaultRule)).toBeUndefined();
  });

  test('are nothing to a parent, whose children need what is above it', () => {
    expect(judge(chain(10, retained(40), { kind: 'parent' }), defaultRule)).toBeUndefined();
  });
});

test('a volume with nothing but tombstones never holds twice itself, however it is written', () => {
  const size = 200;
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.nat(size - 1), { maxLength: 60 }), { minLength: 1, maxLength: 60 }),
      (nights) => {
        const dead: Set<number>[] = [];
        let own = new Set(Array.from({ length: size }, (_, block) => block));
        for (const written of nights) {
          dead.unshift(own);
          own = new Set(written);
          for (;;) {
            const parents = dead.map((held, n) => above(n, held.size));
            if (!judge(chain(own.size, parents), defaultRule)) break;
            own = new Set([...own, ...(dead.shift() ?? [])]);
          }
          const held = dead.reduce((sum, each) => sum + each.size, own.size);
          expect(held).toBeLessThanOrEqual(1.75 * size);
          expect(dead.length).toBeLessThanOrEqual(8);
        }
      },
    ),
  );
});
