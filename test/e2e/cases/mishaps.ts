import { equal, ok } from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { conditionOf, get, pathOf, valueAt } from '../api.ts';
import type { Case } from '../case.ts';
import { loseNode, nodes, onNode, repairNode, type Node } from '../cluster/node.ts';
import { daemonSet, rolledOut } from '../driver.ts';
import { hideCommand, mountOn, showCommands, startGpfs, stopGpfs, unmountOn } from '../gpfs.ts';
import { kubectl, type Space } from '../kube.ts';
import { claim, countFor, counts, isCount, pod, volumePath } from '../objects.ts';
import { driverLog, driverPod, isRegistered, restartDriver } from '../pods.ts';
import { gpfsFolder, release, rootFolder } from '../setup/places.ts';
import { patienceMs, until } from '../setup/wait.ts';
import { dataFiles, volumeLoops, volumeMounts } from '../traces.ts';
import { sidecarsAreApart } from './leaders.ts';

const [first, second] = nodes;
const file = `${volumePath}/file`;
const outOfService = 'node.kubernetes.io/out-of-service=nodeshutdown:NoExecute';

/** Nodes and GPFS that fail and come back. */
export const mishapCases: readonly Case[] = [
  {
    id: 'node-lost',
    says: 'a volume of a lost node, whose container still writes, starts from one point on the other node',
    run: async (space) => {
      const before = await dataFiles();
      const script = countFor(file);
      await space.apply(claim('a'), pod('old', { claim: 'a', node: second, script }));
      await counts(space, 'old', file);
      const lost = await stagedOn(second);
      await loseNode(second);
      try {
        await until('the node counts as lost', patienceMs, () => nodeIs(second, 'Unknown'));
        await space.apply(pod('new', { claim: 'a', node: first }));
        await kubectl(['taint', 'node', second.name, outOfService]);
        await space.reaches('pod/new', '.status.phase', 'Running');
        await oldWriterIsHarmless(space, lost);
      } finally {
        await kubectl(['taint', 'node', second.name, `${outOfService}-`]).catch(() => undefined);
        await repairNode(second);
      }
      await until('the node is back', patienceMs, () => nodeIs(second, 'True'));
      await until('the node no longer has the old file', patienceMs, async () => {
        return (await leftOn(second)).length === 0;
      });
      const added = (await dataFiles()).filter((each) => !before.includes(each));
      equal(added.filter((each) => each.startsWith('volumes/')).length, 1);
      equal(added.filter((each) => each.startsWith('hidden/')).length, 1);
      equal(added.length, 2);
      isCount(await space.exec('new', `cat ${file}`));
      equal(await space.exec('new', `cat ${file}-new`), 'new\n');
      await sidecarsAreApart();
    },
  },
  {
    id: 'remount',
    says: 'GPFS is unmounted and mounted again under a running driver, which continues to work',
    run: async (space) => {
      await space.apply(claim('before'));
      await space.reaches('pvc/before', '.status.phase', 'Bound');
      for (const node of nodes) await unmountOn(node);
      try {
        await until('each driver says that it is not ready', patienceMs, async () =>
          ['', '0'].includes(await readyDrivers()),
        );
        await space.apply(claim('during'));
        equal(await space.get('pvc/during', '.status.phase'), 'Pending');
      } finally {
        for (const node of nodes) await mountOn(node);
      }
      await space.reaches('pvc/during', '.status.phase', 'Bound');
      await space.apply(pod('user', { claim: 'during' }), pod('other', { claim: 'before' }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await space.reaches('pod/other', '.status.phase', 'Running');
    },
  },
  {
    id: 'gpfs-down',
    says: 'with GPFS down the driver stays registered, and the volume of a deleted pod is still unmounted',
    run: async (space) => {
      await space.apply(claim('a'), pod('user', { claim: 'a', node: first }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await space.exec('user', `echo kept > ${file} && sync`);
      await stopGpfs();
      try {
        await until('each driver says that it is not ready', patienceMs, async () =>
          ['', '0'].includes(await readyDrivers()),
        );
        for (const node of nodes) equal(await isRegistered(node), true);
        await space.remove('pod/user');
        await until('nothing is attached', patienceMs, async () => {
          const left = [...(await volumeLoops()), ...(await volumeMounts())];
          return left.length === 0;
        });
        for (const node of nodes) equal(await isRegistered(node), true);
      } finally {
        await startGpfs();
      }
      await space.apply(pod('user', { claim: 'a', node: second }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      equal(await space.exec('user', `cat ${file}`), 'kept\n');
      await rolledOut();
    },
  },
  {
    id: 'no-gpfs',
    says: 'a node without GPFS says why it does not register, and registers once GPFS is installed',
    run: async (space) => {
      await hideCommand(second, 'mmgetstate');
      try {
        await restartDriver(second);
        await until('the driver is not registered', patienceMs, async () => {
          return !(await isRegistered(second));
        });
        await until('the log says why', patienceMs, async () =>
          (await driverLog(second)).includes(
            `GPFS is not installed on this node: there is no ${gpfsFolder}/bin/mmgetstate`,
          ),
        );
        equal(conditionOf(await driverPod(second), 'Ready'), 'False');
        await space.apply(claim('a'), pod('user', { claim: 'a', node: first }));
        await space.reaches('pod/user', '.status.phase', 'Running');
        equal(await isRegistered(second), false);
      } finally {
        await showCommands(second);
      }
      await until('the driver registers by itself', patienceMs, () => isRegistered(second));
      await space.remove('pod/user');
      await space.apply(pod('user', { claim: 'a', node: second }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await rolledOut();
    },
  },
];

/** Where a node has its one volume, as the node sees it. */
async function stagedOn({ name }: Node): Promise<string> {
  const place = `${name}:`;
  const found = (await volumeMounts()).filter(
    (each) => each.startsWith(place) && each.endsWith('/globalmount'),
  );
  equal(found.length, 1);
  return found[0]?.slice(place.length) ?? '';
}

/** The lost node continues to write to its old file, and what the new pod reads does not change. */
async function oldWriterIsHarmless(space: Space, staged: string): Promise<void> {
  const seen = await space.exec('new', `cat ${file}`);
  isCount(seen);
  await space.exec('new', `echo new > ${file}-new; sync`);
  const linesThere = async () =>
    Number((await onNode(second, ['wc', '-l', `${staged}/file`])).split(' ')[0]);
  const reached = await linesThere();
  ok(
    reached > seen.trim().split('\n').length,
    'the lost node continued to write after it was cut off',
  );
  await until('the lost node continues to write', patienceMs, async () => {
    return (await linesThere()) > reached + 20;
  });
  equal(await space.exec('new', `cat ${file}`), seen);
}

/** What a node still has of volumes: mounts, devices of files without a name, and marks. */
async function leftOn({ name }: Node): Promise<readonly string[]> {
  const mounts = (await volumeMounts()).filter((each) => each.startsWith(`${name}:`));
  const loops = (await volumeLoops()).filter((each) => each.endsWith('(deleted)'));
  const marks = await readdir(`${rootFolder}/.gpfs-csi/marks`, { recursive: true });
  return [...mounts, ...loops, ...marks.filter((each) => each.endsWith(`/${name}.json`))];
}

async function nodeIs({ name }: Node, ready: string): Promise<boolean> {
  return conditionOf(await get(pathOf(`node/${name}`, '')), 'Ready') === ready;
}

const readyDrivers = async (): Promise<string> =>
  valueAt(await get(pathOf(daemonSet, release.namespace)), '.status.numberReady');
