import { expect, test } from 'vitest';
import type { FileKey } from '../../../src/model/ids.ts';
import { sweepMs, sweepRoot } from '../../../src/service/maintenance.ts';
import { clusterWithRoot, serverOn } from '../../support/memory/driver.ts';

test('a sweep removes requests to freeze whose server died, and leaves those that a server waits for', async () => {
  const gpfs = await clusterWithRoot();
  const a1 = serverOn(gpfs, 'a1');
  const [store] = await a1.roots.all();
  if (!store) throw new Error('the root is not there');
  const request = { volume: 'v', image: 'v.1-00000000' as FileKey };
  const old = await store.freezes.ask('gone', request);
  await store.freezes.answer('gone', old, '');
  await sweepRoot(a1.host, store);
  expect(await store.freezes.isAsked('gone', old)).toBe(true);
  gpfs.clock.tick(sweepMs);
  const fresh = await store.freezes.ask('a1', request);
  await sweepRoot(a1.host, store);
  expect(await store.freezes.isAsked('gone', old)).toBe(false);
  expect(await store.freezes.answerTo('gone', old)).toBeUndefined();
  expect(await store.freezes.isAsked('a1', fresh)).toBe(true);
});
