import { describe, expect, test } from 'vitest';
import { messageOf } from '../../../src/model/fault.ts';
import { fillSpares, sweepRoot } from '../../../src/service/maintenance.ts';
import { silentLog } from '../../../src/observe/log.ts';
import type { Driver } from '../../../src/service/driver.ts';
import {
  clusterWithRoot,
  dataFiles,
  from,
  serverOn,
  snap,
  spec,
  tend,
  testRoot,
} from '../../support/memory/driver.ts';
import { expectSound } from '../../support/memory/truth.ts';
import { attach, quiet } from '../../support/memory/world.ts';

const spare = `${testRoot}/.gpfs-csi/spare`;
const whole = 128 + 32 + 16;

const levelOf = async (driver: Driver) => {
  const [store] = await driver.roots.all();
  return store?.spares.level();
};

/** A root with its spare files, a volume on node a1, and a snapshot that a restore reads through. */
async function fullSoon() {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs);
  const volume = await driver.volumes.create(spec('v'));
  const cut = await driver.snapshots.create(snap('s', volume));
  const restored = await driver.volumes.create(
    spec('r', { source: from('snapshot', cut), range: undefined }),
  );
  await driver.attachments.publish(attach(volume.id));
  await fillSpares({ ...driver.host, log: silentLog });
  await quiet(gpfs);
  return { gpfs, driver, volume, cut, restored };
}

describe.each([
  ['no space', { full: true }, { full: false }],
  ['no quota', { quota: true }, { quota: false }],
])('a file system with %s', (_, without, room) => {
  test('is emptied by deletions and detaches, from any server, and its spare files are made again', async () => {
    const { gpfs, driver, volume, cut, restored } = await fullSoon();
    gpfs.set(without);
    // Restarts too: a server registers itself by a write.
    const other = serverOn(gpfs.server('b1'), 'b1');
    await expect(driver.volumes.create(spec('w'))).rejects.toThrow('delete something');
    await driver.snapshots.remove(cut.id);
    await other.attachments.unpublish(volume.id, 'a1');
    await other.volumes.remove(restored.id);
    await driver.volumes.remove(volume.id);
    for (const server of [driver, other]) await tend(server);
    await quiet(gpfs);
    expect(dataFiles(gpfs)).toEqual([]);
    expectSound(gpfs);
    gpfs.set(room);
    await fillSpares({ ...driver.host, log: silentLog });
    expect(await levelOf(driver)).toEqual({ there: whole, of: whole });
  });

  test('a server that dies at any call of a deletion leaves it to another, while it stays full', async () => {
    for (let dies = 1; dies <= 40; dies += 3) {
      const { gpfs, driver, cut, restored } = await fullSoon();
      gpfs.set(without);
      gpfs.crashAt(dies, 'after');
      await Promise.allSettled([driver.volumes.remove(restored.id)]);
      gpfs.heal();
      const again = serverOn(gpfs);
      await again.volumes.remove(restored.id);
      await again.snapshots.remove(cut.id);
      await quiet(gpfs);
      expect(dataFiles(gpfs).filter((path) => path.includes('/r.'))).toEqual([]);
    }
  });
});

test('two servers that fill them at once make each spare file once', async () => {
  const gpfs = await clusterWithRoot();
  const servers = [serverOn(gpfs), serverOn(gpfs.server('b1'), 'b1')];
  await Promise.all(servers.map(({ host }) => fillSpares(host)));
  for (const server of servers) expect(await levelOf(server)).toEqual({ there: whole, of: whole });
  const [store] = (await servers[0]?.roots.all()) ?? [];
  expect(await store?.files.list(spare)).toHaveLength(whole);
  expect(await store?.files.list(store.layout.temporary)).toEqual([]);
});

test('deletions of two servers at once never share a part', async () => {
  const gpfs = await clusterWithRoot();
  const servers = [serverOn(gpfs), serverOn(gpfs.server('b1'), 'b1')];
  const ids = await Promise.all(
    Array.from(
      { length: 20 },
      async (_, n) => (await servers[0]?.volumes.create(spec(`v${n}`)))?.id ?? '',
    ),
  );
  await fillSpares(servers[0]?.host ?? serverOn(gpfs).host);
  gpfs.set({ full: true });
  await Promise.all(ids.map(async (id, n) => servers[n % 2]?.volumes.remove(id)));
  await quiet(gpfs);
  expect(dataFiles(gpfs)).toEqual([]);
  expectSound(gpfs);
});

test('spare files that are used up are reported, and a root of an older version that never had one', async () => {
  const { gpfs, driver, volume, cut } = await fullSoon();
  const [store] = await driver.roots.all();
  for (const name of (await store?.files.list(spare)) ?? [])
    await (name.startsWith('directory')
      ? gpfs.files.removeDirectory(`${spare}/${name}`)
      : gpfs.files.unlink(`${spare}/${name}`));
  await gpfs.files.removeDirectory(spare);
  gpfs.set({ full: true });
  const refused = await driver.snapshots.remove(cut.id).catch(messageOf);
  expect(refused).toContain(`the spare files of root ${testRoot} are used up`);
  await expect(fillSpares(driver.host)).rejects.toThrow(
    `root ${testRoot} has 0 of the ${whole} spare files`,
  );
  gpfs.set({ full: false });
  await fillSpares(driver.host);
  gpfs.set({ full: true });
  await driver.snapshots.remove(cut.id);
  await driver.attachments.unpublish(volume.id, 'a1');
});

test('a sweep of a full root removes what it can, and takes no part that is in use', async () => {
  const { gpfs, driver } = await fullSoon();
  gpfs.clock.tick(48 * 3_600_000);
  gpfs.set({ full: true });
  for (const store of await driver.roots.all()) await sweepRoot(driver.host, store);
  expect((await levelOf(driver))?.there).toBeGreaterThan(whole - 10);
});
