import { deepEqual, equal } from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Case } from '../case.ts';
import { nodes } from '../cluster/node.ts';
import { helm, installDriver, uninstallDriver } from '../driver.ts';
import { claim, pod, volumePath } from '../objects.ts';
import { release } from '../setup/places.ts';
import { until } from '../setup/wait.ts';
import { dataFiles, volumeLoops, volumeMounts } from '../traces.ts';

const file = `${volumePath}/file`;

/** What helm does with the chart. */
export const chartCases: readonly Case[] = [
  {
    id: 'helm-test',
    says: '`helm test` passes',
    run: async () => {
      await helm(['test', release.name, '--namespace', release.namespace, '--timeout', '120s']);
    },
  },
  {
    id: 'uninstall',
    says: 'uninstalling leaves nothing but the volumes, which are there again after an install',
    run: async (space) => {
      await space.apply(claim('a'), pod('user', { claim: 'a' }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await space.exec('user', `echo kept > ${file} && sync`);
      await space.remove('pod/user');
      await until('nothing is attached', 60_000, async () => (await volumeLoops()).length === 0);
      const files = await dataFiles();
      await uninstallDriver();
      await until('the node pods are gone', 90_000, async () => (await sockets()).length === 0);
      deepEqual(await volumeMounts(), []);
      deepEqual(await volumeLoops(), []);
      deepEqual(await dataFiles(), files);
      await installDriver();
      await space.apply(pod('user', { claim: 'a' }));
      await space.reaches('pod/user', '.status.phase', 'Running', 120_000);
      equal(await space.exec('user', `cat ${file}`), 'kept\n');
    },
  },
];

/** Sockets of the driver on any node: its own and that of its registration. */
async function sockets(): Promise<readonly string[]> {
  const folders = [
    'plugins_registry',
    'plugins/gpfs-clone.csi',
    'plugins/gpfs-clone.csi/controller',
  ];
  const lists = await Promise.all(
    nodes.flatMap((node) =>
      folders.map(async (folder) => {
        const place = join(node.folder, 'var/lib/kubelet', folder);
        const entries = await readdir(place, { withFileTypes: true }).catch(() => []);
        return entries.filter((each) => each.isSocket()).map(({ name }) => join(place, name));
      }),
    ),
  );
  return lists.flat();
}
