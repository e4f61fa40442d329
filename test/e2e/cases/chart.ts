import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Case } from '../case.ts';
import { nodes } from '../cluster/node.ts';
import {
  chartFolder,
  helm,
  installDriver,
  installRelease,
  rolledOut,
  uninstall,
} from '../driver.ts';
import { kubectl } from '../kube.ts';
import { claim, pod, volumePath } from '../objects.ts';
import { release } from '../setup/places.ts';
import { patienceMs, until } from '../setup/wait.ts';
import { dataFiles, volumeLoops, volumeMounts } from '../traces.ts';

const file = `${volumePath}/file`;

/** What helm does with the chart. */
export const chartCases: readonly Case[] = [
  {
    id: 'helm-test',
    says: '`helm test` passes',
    run: async () => {
      const patience = ['--timeout', `${patienceMs / 1000}s`];
      await helm(['test', release.name, '--namespace', release.namespace, ...patience]);
    },
  },
  {
    id: 'wrong-values',
    says: 'helm refuses values that make no sense, says why, and leaves what is installed as it is',
    run: async () => {
      const revision = await installed();
      for (const [values, why] of wrongValues)
        await rejects(installRelease(release, chartFolder, values), why);
      equal(await installed(), revision);
    },
  },
  {
    id: 'uninstall',
    says: 'uninstalling is refused while there are volumes; forced, it leaves nothing but these, for the next install',
    run: async (space) => {
      await space.apply(claim('a'), pod('user', { claim: 'a' }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await space.exec('user', `echo kept > ${file} && sync`);
      await space.remove('pod/user');
      await until(
        'nothing is attached',
        patienceMs,
        async () => (await volumeLoops()).length === 0,
      );
      const files = await dataFiles();
      await refused();
      await helm(['uninstall', release.name, '--namespace', release.namespace, '--no-hooks']);
      await until('the node pods are gone', patienceMs, async () => (await sockets()).length === 0);
      deepEqual(await volumeMounts(), []);
      deepEqual(await volumeLoops(), []);
      deepEqual(await dataFiles(), files);
      await installDriver();
      await space.apply(pod('user', { claim: 'a' }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      equal(await space.exec('user', `cat ${file}`), 'kept\n');
    },
  },
];

/** An uninstall and an upgrade that would cost the volumes: refused, and afterwards all is as before. */
async function refused(): Promise<void> {
  const left = '1 PersistentVolume is of driver gpfs-clone.csi (e2e-uninstall/a)';
  await rejects(uninstall(release), (error: { readonly stdout: string; readonly stderr: string }) =>
    (error.stdout + error.stderr).includes(left),
  );
  const { name, namespace } = release;
  const kept = await kubectl(['get', 'clusterroles,serviceaccounts', '-A', '-o', 'name']);
  ok(!kept.includes(`${name}-uninstall`), kept);
  const [revision = ''] = (await installed()).split(' ');
  equal(await installed(), `${revision} uninstalling`);
  await helm(['rollback', name, revision, '--namespace', namespace]);
  equal(await installed(), `${Number(revision) + 1} deployed`);
  await rejects(
    installRelease(release, chartFolder, { driverName: 'other.example' }, ['--reuse-values']),
    /1 PersistentVolume is of driver gpfs-clone\.csi, and with these values driverName becomes other\.example/,
  );
  await rolledOut();
}

const roots = ['/gpfs/fs1/csi'];

const wrongValues: readonly (readonly [values: Readonly<Record<string, unknown>>, why: RegExp])[] =
  [
    // Without any values helm would take those of before.
    [{ roots: [] }, /roots is empty: name the GPFS directories/],
    [{ roots, nodeSelector: {} }, /additional properties 'nodeSelector' not allowed/],
    [
      { roots, storageClasses: [{ name: 'a', parameters: { root: '/gpfs/fs2' } }] },
      /storage class a names root \/gpfs\/fs2, which is not one of roots: \/gpfs\/fs1\/csi/,
    ],
    [
      { roots: ['/var/mnt/csi'] },
      /lies directly in \/var, which cannot be mounted into the driver/,
    ],
    [{ roots, sidecars: { timeout: '60s' } }, /sidecars.timeout is 60s, and the driver may take/],
    [{ simulator: { enabled: true } }, /gives a file system to one node, and this cluster has 2/],
  ];

/** The revision of the release, and whether it is deployed. */
async function installed(): Promise<string> {
  const { name, namespace } = release;
  const out = await helm(['status', name, '--namespace', namespace, '--output', 'json']);
  const { version, info } = z
    .object({ version: z.number(), info: z.object({ status: z.string() }) })
    .parse(JSON.parse(out));
  return `${version} ${info.status}`;
}

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
