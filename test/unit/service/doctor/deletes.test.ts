import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { edit, forest, found } from '../../../support/memory/forest.ts';
import { contents } from '../../../support/memory/truth.ts';

describe('deleting what somebody damaged', () => {
  test('a volume whose record names the image of another is refused, and both stay', async () => {
    const world = await forest();
    const victim = world.path('volumes/r');
    await edit(world, 'volumes', 'lone', (record) => ({
      ...record,
      image: { key: basename(victim), inode: '1' },
    }));
    const id = world.ids.get('lone') ?? '';
    await expect(world.driver.volumes.remove(id)).rejects.toThrow(
      /volume lone cannot be deleted: .* belongs to r; gpfs-csi doctor/,
    );
    expect(world.gpfs.paths()).toContain(victim);
    expect((await world.driver.volumes.get(id)).id).toBe(id);
  });

  test('a volume whose image was replaced is refused, and goes once the file is back', async () => {
    const world = await forest();
    const path = world.path('volumes/lone');
    const saved = '/gpfs/fs1/csi-data/saved';
    await world.gpfs.files.rename(path, saved);
    await world.gpfs.files.createSparse(path, 64n << 20n, 0o660);
    const id = world.ids.get('lone') ?? '';
    await expect(world.driver.volumes.remove(id)).rejects.toThrow(/has inode \d+, and its record/);
    await world.gpfs.files.unlink(path);
    await world.gpfs.files.rename(saved, path);
    await world.driver.volumes.remove(id);
    expect(await found(world)).toEqual([]);
  });

  test('a snapshot whose record names another file is refused', async () => {
    const world = await forest();
    await edit(world, 'snapshots', 's2', (record) => ({
      ...record,
      file: { key: basename(world.path('snapshots/s1')), inode: '1' },
    }));
    await expect(world.driver.snapshots.remove(world.ids.get('s2') ?? '')).rejects.toThrow(
      /snapshot s2 cannot be deleted/,
    );
  });

  test('everything in a root with a circle and a lost parent leaves nothing that lives on', async () => {
    const world = await forest();
    await edit(world, 'snapshots', 's1', (record) => ({
      ...record,
      parent: basename(world.path('snapshots/s2')),
    }));
    await edit(world, 'volumes', 'r', (r) => ({ ...r, parent: 'nobody.1-00000000' }));
    const before = contents(world.gpfs);
    await world.driver.volumes.remove(world.ids.get('v') ?? '');
    await world.driver.snapshots.remove(world.ids.get('s1') ?? '');
    const rest = Object.entries(before).filter(([name]) => !/volumes\/v|s1$/.test(name));
    expect(contents(world.gpfs)).toEqual(Object.fromEntries(rest));
  });
});
