import { expect, test } from 'vitest';
import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { localIdOf } from '../../../src/model/ids.ts';
import { adoptDirectory } from '../../../src/service/adopting/tree.ts';
import { listImages } from '../../../src/service/images/images.ts';
import { reclaimAll } from '../../../src/service/maintenance.ts';
import { clusterWithRoot, serverOn } from '../../support/driver.ts';

const directory = '/gpfs/fs1/csi-data/cinder';

test('clone parents that nothing reads through are left where they are, and survive a sweep', async () => {
  const cluster = await clusterWithRoot();
  const { host, roots } = serverOn(cluster);
  const [store] = await roots.all();
  if (!store) throw new Error('no root');
  const gpfs = gpfsCommands(cluster.run);
  const userOf = () => Promise.resolve(undefined);
  const sectorBytes = () => Promise.resolve(4096 as const);
  const at = (name: string) => `${directory}/${name}`;
  await cluster.files.makeDirectory(directory, 0o750);
  const image = async (name: string) => {
    await cluster.files.createSparse(at(name), 64n << 20n, 0o640);
    cluster.write(at(name), 0, name);
    await gpfs.clone.freeze(at(name));
  };
  const clone = (parent: string, child: string) => gpfs.clone.copy(at(parent), at(child));
  const cut = 'snapshot-00000000-0000-4000-8000-000000000001';
  await image('used');
  await clone('used', cut);
  await gpfs.clone.freeze(at(cut));
  await image('precious');
  await image('base');
  // A clone parent above one that is left.
  await clone('base', 'derived');
  await gpfs.clone.freeze(at('derived'));
  const adopted = await adoptDirectory({ host, store, gpfs, userOf, sectorBytes }, directory, {
    came: () => undefined,
    signal: new AbortController().signal,
  });
  expect(adopted.snapshots).toEqual([localIdOf(cut)]);
  const why = 'a clone parent that nothing here reads through; import it as an image';
  expect([...adopted.left].sort()).toEqual(
    ['base', 'derived', 'precious'].map((name) => `${name}: ${why}`),
  );
  // What a snapshot reads through, and Cinder did not cut, is somebody's image.
  expect(adopted.images).toEqual(['used']);
  expect((await listImages(store)).map(({ golden }) => golden?.name)).toEqual(['used']);
  await reclaimAll(host, store);
  expect(cluster.paths().filter((path) => path.startsWith(`${directory}/`))).toEqual(
    ['base', 'derived', 'precious'].map(at),
  );
  const key = (await store.snapshots.read(localIdOf(cut)))?.value.file?.key;
  expect(key && cluster.readBlock(store.layout.data('snapshots', key), 0)).toBe('used');
});
