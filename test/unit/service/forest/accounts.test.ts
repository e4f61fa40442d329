import { expect, test } from 'vitest';
import { MiB } from '../../../../src/model/bytes.ts';
import { createMetrics } from '../../../../src/observe/metrics.ts';
import { accountKeeper, standsMs } from '../../../../src/service/forest/accounts.ts';
import { registerAccountMetrics } from '../../../../src/service/forest/metrics.ts';
import { from, serverOn, snap, spec, testRoot } from '../../../support/memory/driver.ts';
import { attach, newWorld, quiet, volume } from '../../../support/memory/world.ts';
import { fileOf, living } from '../../../support/memory/truth.ts';

const forEver = new AbortController().signal;

/** A world with a volume, a clone of it, and a snapshot that was deleted above a restored one. */
async function wornWorld() {
  const world = await newWorld();
  const { driver, ids, gpfs } = world;
  await volume(world, 'v');
  const source = { id: ids.get('v') ?? '' };
  await driver.volumes.create(spec('c', { source: from('volume', source) }));
  const cut = await driver.snapshots.create(snap('s', source));
  await driver.volumes.create(spec('r', { source: from('snapshot', cut) }));
  await driver.snapshots.remove(cut.id);
  await quiet(gpfs);
  gpfs.resetCounts();
  const accounts = accountKeeper(driver.host);
  const [latest] = [() => accounts.latest()[0]?.accounts];
  return { ...world, accounts, latest };
}

test('a root is counted without a command, and shown as metrics', async () => {
  const { gpfs, accounts, latest } = await wornWorld();
  const metrics = createMetrics();
  registerAccountMetrics(metrics, accounts);
  expect(metrics.render()).not.toContain('{root=');
  await accounts.refresh(forEver);
  expect(gpfs.total.commands.size).toBe(0);
  expect(latest()).toMatchObject({
    files: { volume: 3, snapshot: 0, 'hidden parent': 1, tombstone: 1 },
    logical: 192n * MiB,
    exclusive: 0n,
    live: 0n,
    dead: 4n * MiB,
    deepest: 2,
    trees: 1,
  });
  const shown = metrics.render();
  for (const line of [
    `gpfs_csi_clone_depth{root="${testRoot}"} 2`,
    `gpfs_csi_hidden_parents{root="${testRoot}"} 2`,
    `gpfs_csi_reclaimable_bytes{root="${testRoot}"} ${4 * 2 ** 20}`,
    `gpfs_csi_volume_logical_bytes{root="${testRoot}"} ${192 * 2 ** 20}`,
    `gpfs_csi_volume_exclusive_bytes{root="${testRoot}"} 0`,
    `gpfs_csi_volume_shared_bytes{root="${testRoot}"} ${12 * 2 ** 20}`,
    `gpfs_csi_clone_tree_nodes{root="${testRoot}",kind="hidden parent"} 1`,
    `gpfs_csi_fs_size_bytes{root="${testRoot}"} ${2 ** 40}`,
  ])
    expect(shown.split('\n')).toContain(line);
});

test('a count stands for minutes, and as long as no record changes', async () => {
  const { gpfs, driver, accounts, latest } = await wornWorld();
  const reads = async (laterMs: number): Promise<number> => {
    gpfs.clock.tick(laterMs);
    await driver.host.roots.all();
    gpfs.resetCounts();
    for (const store of await driver.roots.all()) await store.nodes.beat('a1');
    const files = await accounts.refresh(forEver);
    expect(gpfs.total.files.get('held') ?? 0).toBe(files);
    return files;
  };
  expect(await reads(0)).toBe(5);
  await driver.volumes.create(spec('later'));
  expect(await reads(standsMs - 1)).toBe(0);
  expect(latest()?.files.volume).toBe(3);
  expect(await reads(1)).toBe(6);
  expect(latest()?.files.volume).toBe(4);
  expect(await reads(standsMs)).toBe(0);
  expect(await reads(100 * standsMs)).toBe(0);
});

test('what pods write changes no record, so volumes in use are counted again now and then', async () => {
  const { gpfs, driver, ids, accounts, latest } = await wornWorld();
  await driver.attachments.publish(attach(ids.get('v') ?? ''));
  await accounts.refresh(forEver);
  gpfs.write(fileOf(gpfs, living(gpfs).get('volumes/v') ?? ''), 3, 'x');
  const refresh = async (laterMs: number) => {
    gpfs.clock.tick(laterMs);
    for (const store of await driver.roots.all()) await store.nodes.beat('a1');
    await accounts.refresh(forEver);
    return latest()?.exclusive;
  };
  expect(await refresh(standsMs)).toBe(0n);
  expect(await refresh(3_600_000)).toBe(4n * MiB);
});

test('of several servers the first that lives counts, and another one when it is gone', async () => {
  const { gpfs, driver } = await wornWorld();
  const other = serverOn(gpfs.server('b1'), 'b1');
  await other.roots.all();
  await quiet(gpfs);
  const [first, second] = [accountKeeper(driver.host), accountKeeper(other.host)];
  const shown = async () => {
    await first.refresh(forEver);
    await second.refresh(forEver);
    return [first.latest().length, second.latest().length];
  };
  expect(await shown()).toEqual([1, 0]);
  gpfs.clock.tick(standsMs - 1);
  for (const store of await other.roots.all()) await store.nodes.beat('b1');
  gpfs.resetCounts();
  expect(await shown()).toEqual([1, 0]);
  // Who does not count asks no more often than who does.
  expect(gpfs.total.files.get('list') ?? 0).toBe(0);
  gpfs.clock.tick(1);
  expect(await shown()).toEqual([0, 1]);
});

test('counting can be stopped, and then nothing is said', async () => {
  const { accounts, gpfs } = await wornWorld();
  const stop = new AbortController();
  stop.abort();
  await expect(accounts.refresh(stop.signal)).rejects.toThrow(/abort/);
  expect(gpfs.total.files.get('held')).toBe(undefined);
  expect(accounts.latest()).toEqual([]);
});

test('a record that cannot be read is left out, and the others are counted', async () => {
  const { gpfs, accounts, latest } = await wornWorld();
  const path = gpfs
    .paths()
    .find((each) => each.includes('/records/volumes/') && /\/c\.\d+$/.test(each));
  await gpfs.files.createDurable((path ?? '').replace(/\d+$/, '99'), '{"format":1}', 0o640);
  await accounts.refresh(forEver);
  expect(latest()?.files.volume).toBe(2);
});
