import { expect, test } from 'vitest';
import { importImage, listImages, type Incoming } from '../../../../src/service/images/images.ts';
import { errnoError } from '../../../../src/run/files.ts';
import { beat } from '../../../../src/service/maintenance.ts';
import { goneAfterMs } from '../../../../src/store/nodes.ts';
import { clusterWithRoot, dataFiles, serverOn } from '../../../support/memory/driver.ts';

test('an import that fails half way leaves nothing, and its name can be imported again', async () => {
  const gpfs = await clusterWithRoot();
  const { host, roots } = serverOn(gpfs);
  const [store] = await roots.all();
  if (!store) throw new Error('no root');
  const incoming = (place: Incoming['place']): Incoming => ({
    name: 'golden',
    format: 'raw',
    bytes: 4n << 20n,
    place,
    sectorBytes: () => Promise.resolve(4096),
  });
  const make = (path: string, bytes: bigint) => store.files.createSparse(path, bytes, 0o640);
  const fails = incoming(async (path, bytes) => {
    await make(path, bytes);
    expect(dataFiles(gpfs)).toHaveLength(1);
    throw errnoError('EIO', 'write', path);
  });
  await expect(importImage(host, store, fails)).rejects.toThrow('EIO');
  expect(dataFiles(gpfs)).toEqual([]);
  expect((await store.snapshots.read('image-golden'))?.value).toMatchObject({
    state: 'deleted',
    claim: null,
  });
  const works = incoming(async (path, bytes) => {
    await make(path, bytes);
    return false;
  });
  await importImage(host, store, works);
  expect(dataFiles(gpfs)).toHaveLength(1);
  expect((await listImages(store)).map(({ golden }) => golden?.name)).toEqual(['golden']);
});

test('an import that another server took over leaves nothing of its own when it wakes up', async () => {
  const gpfs = await clusterWithRoot();
  const [slow, quick] = [serverOn(gpfs), serverOn(gpfs.server('b1'), 'b1')];
  const [store] = await slow.roots.all();
  const [there] = await quick.roots.all();
  if (!store || !there) throw new Error('no root');
  const incoming = (place: Incoming['place']): Incoming => ({
    name: 'golden',
    format: 'raw',
    bytes: 4n << 20n,
    place,
    sectorBytes: () => Promise.resolve(4096),
  });
  const make = async (path: string, bytes: bigint) => {
    await store.files.createSparse(path, bytes, 0o640);
    return false;
  };
  const stalled = incoming(async (path, bytes, may) => {
    await may();
    gpfs.clock.tick(goneAfterMs + 1);
    await beat(quick.host);
    await importImage(quick.host, there, incoming(make));
    await expect(may()).rejects.toThrow(
      /^image golden was taken over by another server; try again/,
    );
    return make(path, bytes);
  });
  await expect(importImage(slow.host, store, stalled)).rejects.toMatchObject({
    fault: { kind: 'busy' },
  });
  expect(dataFiles(gpfs)).toHaveLength(1);
  const { file, state } = (await store.snapshots.read('image-golden'))?.value ?? {};
  expect(state).toBe('ready');
  expect(dataFiles(gpfs)[0]).toMatch(`/${file?.key ?? 'none'}`);
});
