import { expect, test } from 'vitest';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { registerQueueMetrics } from '../../../src/service/forest/metrics.ts';
import {
  clusterWithRoot,
  serverOn,
  snap,
  spec,
  tend,
  testRoot,
} from '../../support/memory/driver.ts';
import { mmFails } from '../../support/memory/breaking.ts';
import { fenceWorld } from '../../support/memory/fencing.ts';
import { writeVolume } from '../../support/memory/truth.ts';
import { attach } from '../../support/memory/world.ts';

/** What a server said has happened. */
function listener() {
  const heard: string[] = [];
  return { heard, happened: (root: string, what: string) => heard.push(`${root}: ${what}`) };
}

test('a node that is cut off is counted once, and a plain attachment is not', async () => {
  const { gpfs, id, mark } = await fenceWorld();
  const { heard, happened } = listener();
  const server = serverOn(gpfs.server('b1'), 'b1', { happened });
  await mark('lost1');
  await server.attachments.publish(attach(id, 'b1'));
  await server.attachments.publish(attach(id, 'b1'));
  expect(heard).toEqual([`${testRoot}: cut off`]);
});

test('work on a clone tree that fails is counted at each try', async () => {
  const gpfs = await clusterWithRoot();
  const { heard, happened } = listener();
  const sound = serverOn(gpfs);
  const { id } = await sound.volumes.create(spec('v'));
  writeVolume(gpfs, 'v', 'v');
  const cut = await sound.snapshots.create(snap('s', { id }));
  writeVolume(gpfs, 'v', 'later');
  await sound.snapshots.remove(cut.id);
  const view = gpfs.server('a1');
  const broken = serverOn({ ...view, run: mmFails(view.run, 'mmclone') }, 'a1', { happened });
  await tend(broken);
  expect(new Set(heard)).toEqual(new Set([`${testRoot}: compaction failed`]));
  const tries = heard.length;
  gpfs.clock.tick(3_600_000);
  await tend(broken);
  expect(heard.length).toBeGreaterThan(tries);
});

test('the age of an announced item is how long this server has seen it', async () => {
  const gpfs = await clusterWithRoot();
  const [first, second] = [serverOn(gpfs), serverOn(gpfs.server('b1'), 'b1')];
  const [store] = await first.roots.all();
  await second.roots.all();
  if (!store) throw new Error('the root is not there');
  const metrics = createMetrics();
  registerQueueMetrics(metrics, second.worker);
  const oldest = () => /oldest_seconds\{.*\} (\d+)/.exec(metrics.render())?.[1];
  // Another living server has the lease, and does not work.
  const { node, instance } = first.host.self;
  const lease = { format: 1 as const, node, instance, sinceMs: gpfs.clock.now(), released: false };
  await store.leases.swap('upkeep', undefined, lease);
  await store.queue.add('nobody');
  await second.worker.round();
  expect(oldest()).toBe('0');
  gpfs.clock.tick(120_000);
  await store.nodes.beat('a1');
  await second.worker.round();
  expect(oldest()).toBe('120');
});
