import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { createMetrics } from '../../../../src/observe/metrics.ts';
import { accountKeeper, standsMs } from '../../../../src/service/forest/accounts.ts';
import {
  registerAccountMetrics,
  registerVolumeMetrics,
} from '../../../../src/service/forest/metrics.ts';
import { goneAfterMs } from '../../../../src/store/nodes.ts';
import { spec, testRoot } from '../../../support/memory/driver.ts';
import { edit, forest, type Forest } from '../../../support/memory/forest.ts';
import { quiet } from '../../../support/memory/world.ts';

/** Counts the roots of a world when asked to, and finds lines of the metrics. */
function counting({ gpfs, driver, store }: Forest, perVolume = 0) {
  const accounts = accountKeeper(driver.host, perVolume);
  const metrics = createMetrics();
  registerAccountMetrics(metrics, accounts);
  registerVolumeMetrics(metrics, accounts);
  return async (start: string): Promise<readonly string[]> => {
    gpfs.clock.tick(standsMs);
    await store.nodes.beat('a1');
    await accounts.refresh(new AbortController().signal);
    return metrics
      .render()
      .split('\n')
      .filter((line) => line.startsWith(`gpfs_csi_${start}`));
  };
}

const root = `root="${testRoot}"`;

test('sizes that were promised are shown beside the size that is there, and the largest', async () => {
  const world = await forest();
  const lines = counting(world);
  const before = await lines('overcommit_ratio');
  expect(before).toEqual([`gpfs_csi_overcommit_ratio{${root}} ${(4 * 64) / 2 ** 20}`]);
  const range = { requiredBytes: 10n << 40n, limitBytes: 0n };
  await world.driver.volumes.create(spec('huge', { range }));
  expect(await lines('overcommit_ratio')).toEqual([
    `gpfs_csi_overcommit_ratio{${root}} ${10 + (4 * 64) / 2 ** 20}`,
  ]);
  expect(await lines('volume_largest_bytes')).toEqual([
    `gpfs_csi_volume_largest_bytes{${root}} ${10 * 2 ** 40}`,
  ]);
});

test('what the records show to be wrong is counted once it is found twice', async () => {
  const world = await forest();
  const finding = (kind: string, count: number) =>
    `gpfs_csi_findings{${root},kind="${kind}"} ${count}`;
  const none = [
    finding('missing file', 0),
    finding('unknown parent', 0),
    finding('cycle', 0),
    finding('unreadable record', 0),
  ];
  expect(await counting(world)('findings')).toEqual(none);
  const path = world.path('volumes/lone');
  const saved = join(dirname(path), 'saved');
  await world.gpfs.files.rename(path, saved);
  await edit(world, 'volumes', 'r', (record) => ({ ...record, parent: 'nobody.1-00000000' }));
  await edit(world, 'snapshots', 's1', (record) => ({
    ...record,
    parent: basename(world.path('snapshots/s2')),
  }));
  await edit(world, 'volumes', 'c', () => '{');
  const lines = counting(world);
  const [missing, , , unreadable] = await lines('findings');
  expect([missing, unreadable]).toEqual([
    finding('missing file', 0),
    finding('unreadable record', 1),
  ]);
  expect(await lines('findings')).toEqual([
    finding('missing file', 1),
    finding('unknown parent', 1),
    finding('cycle', 1),
    finding('unreadable record', 1),
  ]);
  await world.gpfs.files.rename(saved, path);
  expect((await lines('findings'))[0]).toBe(finding('missing file', 0));
});

test('operations that have begun are counted, and those of servers that are gone apart', async () => {
  const world = await forest();
  expect(await counting(world)('operations_begun')).toEqual([]);
  const { node, instance } = world.driver.host.self;
  const claim = { op: 'delete', boot: 'b', nonce: 'n', sinceMs: 0, released: false };
  await edit(world, 'volumes', 'lone', (record) => ({
    ...record,
    claim: { ...claim, node, instance },
  }));
  await edit(world, 'volumes', 'v', (record) => ({
    ...record,
    claim: { ...claim, op: 'expand', bytes: '1', node: 'b1', instance: 'i' },
  }));
  await edit(world, 'snapshots', 's1', (record) => ({
    ...record,
    claim: { ...claim, node, instance: 'an earlier one' },
  }));
  const begun = (op: string, server: string) =>
    `gpfs_csi_operations_begun{${root},op="${op}",server="${server}"} 1`;
  world.gpfs.clock.tick(goneAfterMs);
  expect(new Set(await counting(world)('operations_begun'))).toEqual(
    new Set([begun('delete', 'alive'), begun('expand', 'gone'), begun('delete', 'gone')]),
  );
});

test('GPFS is asked about the quarantine only where files are in it, and once an hour', async () => {
  const world = await forest();
  const { gpfs, store } = world;
  const lines = counting(world);
  await quiet(gpfs);
  gpfs.resetCounts();
  expect(await lines('quarantine')).toEqual([
    `gpfs_csi_quarantine_files{${root}} 0`,
    `gpfs_csi_quarantine_pinning_files{${root}} 0`,
  ]);
  expect(gpfs.total.commands.size).toBe(0);
  const folder = join(store.layout.quarantine, 'day');
  for (const path of [store.layout.quarantine, folder]) await gpfs.files.makeDirectory(path, 0o750);
  await gpfs.files.rename(world.path('volumes/c'), join(folder, 'c'));
  await gpfs.files.rename(world.path('volumes/lone'), join(folder, 'lone'));
  for (let round = 0; round < 3; round++)
    expect(await lines('quarantine')).toEqual([
      `gpfs_csi_quarantine_files{${root}} 2`,
      `gpfs_csi_quarantine_pinning_files{${root}} 1`,
    ]);
  expect([...gpfs.total.commands]).toEqual([['mmclone show', 1]]);
});

test('single volumes have figures only where they are wanted, and only so many', async () => {
  const world = await forest();
  const parameters = {
    'csi.storage.k8s.io/pvc/namespace': 'shop',
    'csi.storage.k8s.io/pvc/name': 'orders',
  };
  await world.driver.volumes.create(spec('pvc-1', { parameters }));
  world.gpfs.write(world.path('volumes/pvc-1'), 0, 'x');
  world.gpfs.write(world.path('volumes/pvc-1'), 1, 'x');
  expect(await counting(world)('pv_')).toEqual([]);
  const lines = await counting(world, 2)('pv_');
  const labels = (volume: string, namespace: string, claim: string) =>
    `{${root},volume="${volume}",claim_namespace="${namespace}",claim="${claim}"}`;
  expect(lines).toHaveLength(8);
  expect(lines).toContain(
    `gpfs_csi_pv_exclusive_bytes${labels('pvc-1', 'shop', 'orders')} ${8 * 2 ** 20}`,
  );
  expect(lines).toContain(`gpfs_csi_pv_size_bytes${labels('lone', '', '')} ${64 * 2 ** 20}`);
});
