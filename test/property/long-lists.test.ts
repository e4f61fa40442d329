import { expect, test } from 'vitest';
import { clusterWithRoot, serverOn, spec } from '../support/memory/driver.ts';

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, at) => at);

test('2,500 volumes come in pages of 1,000, however many are asked for', async () => {
  const driver = serverOn(await clusterWithRoot());
  for (const hundred of upTo(25))
    await Promise.all(
      upTo(100).map((one) => driver.volumes.create(spec(`v${100 * hundred + one}`))),
    );
  for (const max of [1000, 5000]) {
    const sizes: number[] = [];
    const ids = new Set<string>();
    let token = '';
    do {
      const { items, next } = await driver.volumes.list({ max, token });
      sizes.push(items.length);
      for (const { id } of items) ids.add(id);
      token = next;
    } while (token !== '');
    expect(sizes).toEqual([1000, 1000, 500]);
    expect(ids.size).toBe(2500);
  }
});
