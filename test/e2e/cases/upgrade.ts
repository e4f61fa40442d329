import { equal } from 'node:assert/strict';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { valueAt } from '../api.ts';
import type { Case } from '../case.ts';
import { nodes } from '../cluster/node.ts';
import { chartFolder, installRelease, localImages, uninstall } from '../driver.ts';
import { makeOlder } from '../images/older.ts';
import { kubectl, type Space } from '../kube.ts';
import { claim, countFor, counts, isCount, pod, snapshot, volumePath } from '../objects.ts';
import { isReady, podsOf, restartDriver } from '../pods.ts';
import { driverImage, gpfsFolder, type Release } from '../setup/places.ts';
import { longPatienceMs, until } from '../setup/wait.ts';
import { objectsOf } from '../traces.ts';
import { giveUpLead } from './leaders.ts';

const file = `${volumePath}/file`;

// A release of its own beside the usual one, on a root of its own: the older driver then finds nothing of a newer one.
const aged: Release = { name: 'aged', namespace: 'gpfs-aged', driver: 'gpfs-aged.csi' };
const root = join(gpfsFolder, 'fs1', 'csi-data', aged.name);
const className = aged.name;

const valuesFor = (tag: string, node: object = {}): Readonly<Record<string, unknown>> => ({
  ...localImages(tag),
  roots: [root],
  mmDirectory: join(gpfsFolder, 'bin'),
  driverName: aged.driver,
  storageClasses: [{ name: className }],
  volumeSnapshotClasses: [{ name: className }],
  node,
});

/** An older driver, and this one after it. */
export const upgradeCases: readonly Case[] = [
  {
    id: 'upgrade',
    says: 'an older driver and this one work side by side on one root, and the upgrade disturbs no pod',
    run: async (space) => {
      await mkdir(root, { mode: 0o750 });
      try {
        await installOlder();
        await begin(space);
        await upgradeFirstNode();
        await workOn(space, 1);
        // From here on the driver of the other node makes the volumes.
        await giveUpLead('provisioner', aged);
        await workOn(space, 2);
        await installRelease(aged, chartFolder, valuesFor(driverImage.tag));
        await finish(space);
      } finally {
        await space.kubectl(['delete', 'pods,volumesnapshots,pvc', '--all']);
        await gone();
        await uninstall(aged);
        await kubectl(['delete', 'namespace', aged.namespace]);
        await rm(root, { recursive: true });
      }
    },
  },
];

async function installOlder(): Promise<void> {
  const older = await makeOlder(`${driverImage.repository}:${driverImage.olderTag}`);
  await installRelease(aged, older?.chart ?? chartFolder, valuesFor(driverImage.olderTag));
}

const own = (name: string, options: Parameters<typeof claim>[1] = {}) =>
  claim(name, { className, ...options });

/** What the older driver made: a pod that writes on each node, and a snapshot. */
async function begin(space: Space): Promise<void> {
  const script = countFor(file);
  for (const node of nodes)
    await space.apply(
      own(node.name),
      pod(node.name, { claim: node.name, node, script, tolerateAll: true }),
    );
  for (const { name } of nodes) await counts(space, name, file);
  await space.apply(snapshot('early', nodes[0].name, className));
  await space.reaches('volumesnapshot/early', '.status.readyToUse', 'true');
}

async function upgradeFirstNode(): Promise<void> {
  const values = valuesFor(driverImage.tag, { updateStrategy: 'OnDelete' });
  // helm would wait for all nodes.
  await installRelease(aged, chartFolder, values, []);
  await restartDriver(nodes[0], aged);
  await until('one node has this driver and the other one the older', longPatienceMs, async () => {
    const pods = (await podsOf('node', aged)).filter(isReady);
    const images = pods.map(
      (each) => /e2e(?:-older)?(?=")/.exec(valueAt(each, '.spec.containers'))?.[0],
    );
    return images.toSorted().join() === [driverImage.tag, driverImage.olderTag].join();
  });
}

/** Each kind of request, on both nodes, with what either driver made. */
async function workOn(space: Space, round: number): Promise<void> {
  const [first, second] = nodes;
  const named = (name: string): string => `${name}-${round}`;
  await space.apply(
    own(named('new')),
    own(named('restored'), { from: { kind: 'VolumeSnapshot', name: 'early' } }),
    own(named('cloned'), { from: { kind: 'PersistentVolumeClaim', name: second.name } }),
    snapshot(named('later'), second.name, className),
  );
  const places = { new: first, restored: second, cloned: first };
  for (const [name, node] of Object.entries(places))
    await space.apply(pod(named(name), { claim: named(name), node }));
  for (const name of Object.keys(places))
    await space.reaches(`pod/${named(name)}`, '.status.phase', 'Running');
  await space.reaches(`volumesnapshot/${named('later')}`, '.status.readyToUse', 'true');
  isCount(await space.exec(named('restored'), `cat ${file}`));
  isCount(await space.exec(named('cloned'), `cat ${file}`));
  const size = `${round + 1}Gi`;
  const wanted = { spec: { resources: { requests: { storage: size } } } };
  await space.kubectl(['patch', 'pvc', first.name, '-p', JSON.stringify(wanted)]);
  await space.reaches(`pvc/${first.name}`, '.status.capacity.storage', size);
  await space.remove(`pod/${named('new')}`, `pvc/${named('new')}`);
}

async function finish(space: Space): Promise<void> {
  for (const { name } of nodes) {
    equal(await space.get(`pod/${name}`, '.status.phase'), 'Running');
    equal(
      /"restartCount":(\d+)/.exec(await space.get(`pod/${name}`, '.status.containerStatuses'))?.[1],
      '0',
    );
    isCount(await space.exec(name, `cat ${file}`));
  }
  await workOn(space, 3);
}

async function gone(): Promise<void> {
  await until('its volumes are gone', longPatienceMs, async () => {
    const all = await readdir(root, { recursive: true, withFileTypes: true });
    const data = all.filter((each) => each.isFile() && !each.parentPath.includes('/.gpfs-csi'));
    return data.length + (await objectsOf(aged.driver)).length === 0;
  });
}
