import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createSharing } from '../../../../src/server/call/sharing.ts';

const stays = new AbortController().signal;

/** Work that is held until it is let go, and how many pieces of it ran at once. */
function heldWork() {
  const letGo: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const work = async (): Promise<number> => {
    running += 1;
    most = Math.max(most, running);
    await new Promise<void>((resolve) => letGo.push(resolve));
    running -= 1;
    return letGo.length;
  };
  return { work, letGo, most: () => most };
}

test('only so many questions are answered at a time, in the order in which they came', async () => {
  const sharing = createSharing(2);
  const { work, letGo, most } = heldWork();
  const all = ['a', 'b', 'c', 'd'].map((key) => sharing.ask(key, stays, work));
  for (let n = 0; n < all.length; n += 1) {
    await setImmediate();
    letGo[n]?.();
  }
  await Promise.all(all);
  expect(most()).toBe(2);
});

test('a failure reaches all who share it, and the next question is asked again', async () => {
  const sharing = createSharing();
  const { work, letGo } = heldWork();
  const first = sharing.ask('a', stays, work);
  const fail = (): Promise<never> => Promise.reject(new Error('away'));
  const crowd = [1, 2, 3].map(() => sharing.ask('a', stays, fail));
  await setImmediate();
  letGo[0]?.();
  await first;
  for (const each of crowd) await expect(each).rejects.toThrow('away');
  expect(await sharing.ask('a', stays, () => Promise.resolve('here'))).toBe('here');
});

test('one who leaves does not take the answer from the others', async () => {
  const sharing = createSharing();
  const { work, letGo } = heldWork();
  const leaving = new AbortController();
  const first = sharing.ask('a', leaving.signal, work);
  const waiting = sharing.ask('a', leaving.signal, work);
  const staying = sharing.ask('a', stays, work);
  leaving.abort();
  for (const each of [first, waiting]) await expect(each).rejects.toThrow(/no time left/);
  for (let n = 0; n < 2; n += 1) {
    await setImmediate();
    letGo[n]?.();
  }
  expect(await staying).toBe(2);
  await expect(sharing.ask('b', leaving.signal, work)).rejects.toThrow(/no time left/);
});
