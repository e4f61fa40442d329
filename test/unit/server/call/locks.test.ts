import { expect, test } from 'vitest';
import { createLocks, type LockKey } from '../../../../src/server/call/locks.ts';

const volume: LockKey = { on: 'volume', id: 'v' };
const source: LockKey = { on: 'snapshot', id: 's', shared: true };

test('a second operation on one object is refused and told which object', () => {
  const locks = createLocks();
  const first = locks.take([volume]);
  expect(() => locks.take([volume])).toThrow(
    'another operation on volume "v" is under way; ask again when it has ended',
  );
  first[Symbol.dispose]();
  locks.take([volume])[Symbol.dispose]();
});

test('a refused operation holds nothing', () => {
  const locks = createLocks();
  using held = new DisposableStack();
  held.use(locks.take([volume]));
  const other: LockKey = { on: 'volume-name', id: 'v' };
  expect(() => locks.take([other, volume])).toThrow(/volume "v"/);
  held.use(locks.take([other]));
  expect(() => locks.take([other])).toThrow(/a volume named "v"/);
});

test('a source is shared by many, and alone for who changes it', () => {
  const locks = createLocks();
  const alone: LockKey = { on: 'snapshot', id: 's' };
  const first = locks.take([source]);
  const second = locks.take([source]);
  expect(() => locks.take([alone])).toThrow(/snapshot "s"/);
  first[Symbol.dispose]();
  expect(() => locks.take([alone])).toThrow(/snapshot "s"/);
  second[Symbol.dispose]();
  const changing = locks.take([alone]);
  expect(() => locks.take([source])).toThrow(/snapshot "s"/);
  changing[Symbol.dispose]();
  locks.take([source])[Symbol.dispose]();
});
