import { deepEqual, equal, match } from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Case } from '../case.ts';
import { initOf, nodes } from '../cluster/node.ts';
import { chartFolder, helm, installRelease, localImages, uninstall } from '../driver.ts';
import { kubectl } from '../kube.ts';
import { claim, pod, snapshot, volumePath } from '../objects.ts';
import { restartDriver } from '../pods.ts';
import { driverImage, type Release } from '../setup/places.ts';
import { sh } from '../setup/shell.ts';
import { patienceMs, until } from '../setup/wait.ts';
import { objectsOf } from '../traces.ts';

const [node] = nodes;
const file = `${volumePath}/file`;
const simulated: Release = { name: 'sim', namespace: 'gpfs-sim', driver: 'gpfs-sim.csi' };
const className = 'gpfs-sim';

const values = {
  ...localImages(driverImage.tag),
  simulator: { enabled: true, size: '5G' },
  driverName: simulated.driver,
  node: { nodeSelector: { 'kubernetes.io/hostname': node.name } },
  storageClasses: [{ name: className }],
  volumeSnapshotClasses: [{ name: className }],
};

/** The chart for people without a GPFS. */
export const simulatedCases: readonly Case[] = [
  {
    id: 'simulated',
    says: 'simulator.enabled gives volumes that outlive the driver, and uninstalling leaves nothing',
    run: async (space) => {
      try {
        await installRelease(simulated, chartFolder, values);
        const { name, namespace } = simulated;
        match(await helm(['get', 'notes', name, '--namespace', namespace]), /NOT FOR DATA/);
        await space.apply(claim('a', { className }), pod('user', { claim: 'a', node }));
        await space.reaches('pod/user', '.status.phase', 'Running');
        await space.exec('user', `echo kept > ${file} && sync`);
        await space.apply(snapshot('s', 'a', className));
        await space.reaches('volumesnapshot/s', '.status.readyToUse', 'true');
        await restartDriver(node, simulated);
        equal(await space.exec('user', `cat ${file}`), 'kept\n');
        const source = { kind: 'VolumeSnapshot', name: 's' } as const;
        await space.apply(
          claim('restored', { className, from: source }),
          pod('restored', { claim: 'restored', node }),
        );
        await space.reaches('pod/restored', '.status.phase', 'Running');
        equal(await space.exec('restored', `cat ${file}`), 'kept\n');
        await space.remove('pod/user');
        await space.apply(pod('user', { claim: 'a', node }));
        await space.reaches('pod/user', '.status.phase', 'Running');
        equal(await space.exec('user', `cat ${file}`), 'kept\n');
      } finally {
        await space.remove('pods', '--all');
        await space.remove('volumesnapshots,pvc', '--all');
        // Only a running driver can unmount volumes, and Kubernetes reports a pod as gone before its mounts are.
        await until('its volumes are gone', patienceMs, async () => {
          return (await objectsOf(simulated.driver)).length === 0;
        });
        await uninstall(simulated);
        await kubectl(['delete', 'namespace', simulated.namespace]);
      }
      await until('the simulated file system is gone', patienceMs, async () => {
        deepEqual(await remains(), []);
        return true;
      });
    },
  },
];

/** Mounts, loop devices and files of the simulated file system. */
async function remains(): Promise<readonly string[]> {
  const ours = (text: string): boolean => text.includes(`plugins/${simulated.driver}`);
  const mounts = (await readFile(`/proc/${initOf(node)}/mountinfo`, 'utf8')).split('\n');
  const loops = (await sh(['losetup', '-l', '-n', '-O', 'NAME,BACK-FILE'])).split('\n');
  const plugin = join(node.folder, 'var/lib/kubelet/plugins', simulated.driver);
  const entries = await readdir(plugin, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((each) => !each.isDirectory()).map(({ name }) => name);
  return [...mounts.filter(ours), ...loops.filter(ours), ...files];
}
