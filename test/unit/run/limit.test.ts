import { expect, test } from 'vitest';
import { commandPool } from '../../../src/run/limit.ts';

const turns = async (): Promise<void> => {
  for (let n = 0; n < 10; n += 1) await Promise.resolve();
};

test('slots are given first come, first served', async () => {
  const pool = commandPool({ atOnce: 1, queue: 10 });
  const first = await pool.acquire(undefined);
  const order: number[] = [];
  const slots = [1, 2, 3].map(async (n) => {
    const slot = await pool.acquire(undefined);
    order.push(n);
    return slot;
  });
  await turns();
  expect(order).toEqual([]);
  first.release();
  for (const slot of slots) (await slot).release();
  expect(order).toEqual([1, 2, 3]);
});

test('a slot given back twice counts once', async () => {
  const pool = commandPool({ atOnce: 1, queue: 10 });
  const slot = await pool.acquire(undefined);
  slot.release();
  slot.release();
  await pool.acquire(undefined);
  let second = false;
  void pool.acquire(undefined).then(() => {
    second = true;
  });
  await turns();
  expect(second).toBe(false);
});

test('who gives up waiting leaves the queue to the others', async () => {
  const pool = commandPool({ atOnce: 1, queue: 2 });
  const held = await pool.acquire(undefined);
  const request = new AbortController();
  const impatient = pool.acquire(request.signal);
  const patient = pool.acquire(undefined);
  await expect(pool.acquire(undefined)).rejects.toThrow('2 commands are waiting already');
  request.abort(new Error('gone'));
  await expect(impatient).rejects.toThrow('gone');
  await expect(pool.acquire(request.signal)).rejects.toThrow('gone');
  held.release();
  (await patient).release();
  await expect(pool.acquire(undefined)).resolves.toBeDefined();
});
