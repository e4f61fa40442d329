import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DriverError } from '../../../../src/model/fault.ts';
import { createLocks, type LockKey, type Locks } from '../../../../src/server/call/locks.ts';

const volume: LockKey = { on: 'volume', id: 'v' };
const source: LockKey = { on: 'snapshot', id: 's', shared: true };
const forever = new AbortController().signal;
const over = AbortSignal.abort();

/** Locks of one object that are held at the same time, and not both shared. */
const clashes = (held: readonly LockKey[]): readonly LockKey[] =>
  held.filter((key) =>
    held.some((other) => other !== key && other.id === key.id && !(key.shared && other.shared)),
  );

/** Calls that note when they start, in the order in which they started. */
function callsOn(locks: Locks) {
  const started: string[] = [];
  const begin = (name: string, keys: readonly LockKey[], leave = forever) => {
    const taken = locks.take(keys, leave).then((held) => {
      started.push(name);
      return held;
    });
    const end = async () => {
      (await taken)[Symbol.dispose]();
    };
    return { end, taken };
  };
  return { started, begin };
}

test('a call that may not wait is refused and told which object', async () => {
  const locks = createLocks();
  const first = await locks.take([volume], over);
  await expect(locks.take([volume], over)).rejects.toThrow(
    'another operation on volume "v" is under way; ask again when it has ended',
  );
  first[Symbol.dispose]();
  (await locks.take([volume], over))[Symbol.dispose]();
});

test('a refused call holds nothing', async () => {
  const locks = createLocks();
  using held = new DisposableStack();
  held.use(await locks.take([volume], over));
  const other: LockKey = { on: 'volume-name', id: 'v' };
  await expect(locks.take([other, volume], over)).rejects.toThrow(/volume "v"/);
  held.use(await locks.take([other], over));
  await expect(locks.take([other], over)).rejects.toThrow(/a volume named "v"/);
});

test('a source is shared by many, and alone for who changes it', async () => {
  const locks = createLocks();
  const alone: LockKey = { on: 'snapshot', id: 's' };
  const first = await locks.take([source], over);
  const second = await locks.take([source], over);
  await expect(locks.take([alone], over)).rejects.toThrow(/snapshot "s"/);
  first[Symbol.dispose]();
  await expect(locks.take([alone], over)).rejects.toThrow(/snapshot "s"/);
  second[Symbol.dispose]();
  const changing = await locks.take([alone], over);
  await expect(locks.take([source], over)).rejects.toThrow(/snapshot "s"/);
  changing[Symbol.dispose]();
  (await locks.take([source], over))[Symbol.dispose]();
});

test('calls start in the order in which they came', async () => {
  const { started, begin } = callsOn(createLocks());
  const calls = ['first', 'second', 'third'].map((name) => begin(name, [volume]));
  for (const call of calls) await call.end();
  expect(started).toEqual(['first', 'second', 'third']);
});

test('no stream of calls that share a lock keeps a call out that wants it alone', async () => {
  const { started, begin } = callsOn(createLocks());
  const alone: LockKey = { on: 'snapshot', id: 's' };
  const first = begin('clone 1', [source]);
  const change = begin('change', [alone]);
  const second = begin('clone 2', [source]);
  await setImmediate();
  expect(started).toEqual(['clone 1']);
  await first.end();
  await change.end();
  await second.end();
  expect(started).toEqual(['clone 1', 'change', 'clone 2']);
});

test('a caller that leaves is out of the line, and does not keep those behind it waiting', async () => {
  const { started, begin } = callsOn(createLocks());
  const leaving = new AbortController();
  const first = begin('clone 1', [source]);
  const change = begin('change', [{ on: 'snapshot', id: 's' }], leaving.signal);
  const second = begin('clone 2', [source]);
  leaving.abort();
  await expect(change.taken).rejects.toThrow(/snapshot "s" is under way/);
  await second.end();
  expect(started).toEqual(['clone 1', 'clone 2']);
  await first.end();
});

test('only so many calls wait', async () => {
  const locks = createLocks(2);
  const { begin } = callsOn(locks);
  const calls = [1, 2, 3].map((n) => begin(String(n), [volume]));
  await expect(locks.take([volume], forever)).rejects.toThrow(/and 2 requests wait already/);
  await locks.take([{ on: 'volume', id: 'other' }], forever);
  for (const call of calls) await call.end();
});

test('whatever is asked for in which order: nobody is forgotten, and no lock is held twice', async () => {
  const keys = fc.uniqueArray(
    fc.record({
      on: fc.constant('volume' as const),
      id: fc.constantFrom('a', 'b', 'c'),
      shared: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3, selector: ({ id }) => id },
  );
  const plans = fc.array(fc.record({ keys, leaves: fc.boolean() }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(plans, async (all) => {
      const locks = createLocks();
      const held = new Set<LockKey>();
      let done = 0;
      const use = async (wanted: readonly LockKey[], leave: AbortSignal) => {
        using _lock = await locks.take(wanted, leave);
        for (const key of wanted) held.add(key);
        expect(clashes([...held])).toEqual([]);
        await setImmediate();
        for (const key of wanted) held.delete(key);
      };
      await Promise.all(
        all.map(async ({ keys: wanted, leaves }) => {
          const leaving = new AbortController();
          const work = use(wanted, leaving.signal).catch((error: unknown) => {
            expect([leaves, error]).toEqual([true, expect.any(DriverError)]);
          });
          if (leaves) leaving.abort();
          await work;
          done += 1;
        }),
      );
      expect(done).toBe(all.length);
    }),
    { numRuns: 200 },
  );
});
