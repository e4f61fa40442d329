import { expect, test } from 'vitest';
import { asNamed } from '../../../support/memory/named.ts';
import { gpfsCommands } from '../../../../src/gpfs/commands.ts';
import { fileKey, localIdOf, publicId } from '../../../../src/model/ids.ts';
import { adoptDirectory } from '../../../../src/service/adopt/adopt-directory.ts';
import { listImages } from '../../../../src/service/images/images.ts';
import { reclaimAll } from '../../../../src/service/maintenance.ts';
import { clusterWithRoot, serverOn } from '../../../support/memory/driver.ts';
import { expectSound } from '../../../support/memory/truth.ts';

const directory = '/gpfs/fs1/csi-data/cinder';
const at = (name: string) => `${directory}/${name}`;
const cut = 'snapshot-00000000-0000-4000-8000-000000000001';
const whole = { onVolume: () => undefined, signal: new AbortController().signal };

/** A root, and an empty directory of Cinder beside it. */
async function place() {
  const cluster = await clusterWithRoot();
  const { host, roots, snapshots } = serverOn(cluster);
  const [store] = await roots.all();
  if (!store) throw new Error('no root');
  const on = {
    host,
    store,
    gpfs: gpfsCommands(cluster.run),
    userOf: () => Promise.resolve(undefined),
    sectorBytes: () => Promise.resolve(4096 as const),
  };
  await cluster.files.makeDirectory(directory, 0o750);
  return { cluster, store, on, snapshots };
}

test('clone parents that nothing reads through are left where they are, and survive a sweep', async () => {
  const { cluster, store, on } = await place();
  const { host, gpfs } = on;
  const image = async (name: string) => {
    await cluster.files.createSparse(at(name), 64n << 20n, 0o640);
    cluster.write(at(name), 0, name);
    await gpfs.clone.freeze(at(name));
  };
  const clone = (parent: string, child: string) => gpfs.clone.copy(at(parent), at(child));
  await image('used');
  await clone('used', cut);
  await gpfs.clone.freeze(at(cut));
  await image('precious');
  await image('base');
  // A clone parent above one that is left.
  await clone('base', 'derived');
  await gpfs.clone.freeze(at('derived'));
  const adopted = await adoptDirectory(on, asNamed(directory), whole);
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

test.each(['is deleted since', 'was another one, and its number came again'])(
  'a second try hangs children on the clone parent that came in, where a snapshot %s',
  async (what) => {
    const { cluster, store, on, snapshots } = await place();
    const child = 'snapshot-00000000-0000-4000-8000-000000000002';
    await cluster.files.createSparse(at(cut), 64n << 20n, 0o640);
    cluster.write(at(cut), 0, 'kept');
    await on.gpfs.clone.freeze(at(cut));
    await on.gpfs.clone.copy(at(cut), at(child));
    await on.gpfs.clone.freeze(at(child));
    const stopped = new AbortController();
    const makeIn: typeof store.makeIn = async (...given) => {
      const made = await store.makeIn(...given);
      stopped.abort(new Error('Ctrl-C'));
      return made;
    };
    const first = adoptDirectory({ ...on, store: { ...store, makeIn } }, asNamed(directory), {
      ...whole,
      signal: stopped.signal,
    });
    await expect(first).rejects.toThrow('Ctrl-C');
    const parent = (await store.snapshots.read(localIdOf(cut)))?.value;
    if (!parent?.file) throw new Error('the parent did not come in');
    if (what === 'is deleted since') await snapshots.remove(publicId(store.id, parent.id));
    // Several, as some of them are read before the parent and some after it.
    else
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
        const file = { key: fileKey(localIdOf(name), 1, 'abc'), inode: parent.file.inode };
        const gone = { ...parent, id: localIdOf(name), name, state: 'deleted' as const, file };
        await store.snapshots.swap(gone.id, undefined, gone, 'name');
      }
    expect((await adoptDirectory(on, asNamed(directory), whole)).snapshots).toEqual([
      localIdOf(child),
    ]);
    expect((await store.snapshots.read(localIdOf(child)))?.value.parent).toBe(parent.file.key);
    expect(await store.edges.children(parent.file.key)).toHaveLength(1);
    expectSound(cluster);
  },
);
