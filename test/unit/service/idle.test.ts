import { expect, test } from 'vitest';
import { clusterWithRoot, serverOn, spec, testRoot } from '../../support/memory/driver.ts';

test('a server with nothing to do lists each queue of a root once a round', async () => {
  const gpfs = await clusterWithRoot();
  const view = gpfs.server('a1');
  const listed: string[] = [];
  const files = {
    ...view.files,
    list: (directory: string) => {
      listed.push(directory);
      return view.files.list(directory);
    },
  };
  const driver = serverOn({ ...view, files });
  await driver.volumes.create(spec('v'));
  await driver.worker.round();

  listed.length = 0;
  await driver.worker.round();
  const { layout } = await driver.roots.byPath(testRoot);
  expect(listed.toSorted()).toEqual([layout.queue('ready'), layout.queue('waiting')]);
});

test('a server that ends begins no other item of the queue, and leaves it there', async () => {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs.server('a1'));
  const store = await driver.roots.byPath(testRoot);
  for (const name of ['one', 'two']) await store.queue.add(name);
  await driver.worker.round(AbortSignal.abort());
  expect(await store.queue.ready()).toEqual(['one', 'two']);
  await driver.worker.round();
  expect(await store.queue.ready()).toEqual([]);
});
