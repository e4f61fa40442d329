import { equal, notEqual, ok } from 'node:assert/strict';
import type { Case } from '../case.ts';
import { loseNode, nodes, onNode, repairNode } from '../cluster/node.ts';
import type { Node } from '../cluster/node.ts';
import { daemonSet, installDriver, rolledOut } from '../driver.ts';
import { mountOn, unmountOn } from '../gpfs.ts';
import { kubectl } from '../kube.ts';
import type { Space } from '../kube.ts';
import { claim, pod, snapshot, volumePath } from '../objects.ts';
import { driverImage, release } from '../setup/places.ts';
import { until } from '../setup/wait.ts';

const [first, second] = nodes;
const file = `${volumePath}/file`;
const outOfService = 'node.kubernetes.io/out-of-service=nodeshutdown:NoExecute';

/** Nodes, GPFS and leaders that go away, and come back. */
export const mishapCases: readonly Case[] = [
  {
    id: 'node-lost',
    says: 'a volume of a lost node, whose container still writes, is refused to the other node',
    run: async (space) => {
      const script = countFor(file);
      await space.apply(claim('a'), pod('old', { claim: 'a', node: second, script }));
      await space.reaches('pod/old', '.status.phase', 'Running');
      await loseNode(second);
      try {
        await until('the node counts as lost', 120_000, () => nodeIs(second, 'Unknown'));
        await space.apply(pod('new', { claim: 'a', node: first }));
        await kubectl(['taint', 'node', second.name, outOfService]);
        await until('the driver says why the other node has to wait', 120_000, async () =>
          (await attachErrors(space, 'new')).includes('node2'),
        );
        equal(await space.get('pod/new', '.status.phase'), 'Pending');
      } finally {
        await kubectl(['taint', 'node', second.name, `${outOfService}-`]).catch(() => undefined);
        await repairNode(second);
      }
      await until('the node is back', 120_000, () => nodeIs(second, 'True'));
      await space.reaches('pod/new', '.status.phase', 'Running', 240_000);
      isCount(await space.exec('new', `cat ${file}`));
    },
  },
  {
    id: 'remount',
    says: 'GPFS is unmounted and mounted again under a running driver, which goes on with it',
    run: async (space) => {
      await space.apply(claim('before'));
      await space.reaches('pvc/before', '.status.phase', 'Bound');
      for (const node of nodes) await unmountOn(node);
      try {
        await until('each driver says that it is not ready', 90_000, async () =>
          ['', '0'].includes(await readyDrivers()),
        );
        await space.apply(claim('during'));
        equal(await space.get('pvc/during', '.status.phase'), 'Pending');
      } finally {
        for (const node of nodes) await mountOn(node);
      }
      await space.reaches('pvc/during', '.status.phase', 'Bound', 120_000);
      await space.apply(pod('user', { claim: 'during' }), pod('other', { claim: 'before' }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      await space.reaches('pod/other', '.status.phase', 'Running');
    },
  },
  {
    id: 'leader-without-gpfs',
    says: 'the sidecars of the other node take over when GPFS is gone on the node where they lead',
    run: async (space) => {
      await spreadSidecars();
      const leading = await leaderNode('provisioner');
      await unmountOn(leading);
      try {
        // A sidecar notices that the driver's socket is gone when it has something to ask.
        await space.apply(claim('a'));
        await space.reaches('pvc/a', '.status.phase', 'Bound', 150_000);
        notEqual((await leaderNode('provisioner')).name, leading.name);
      } finally {
        await mountOn(leading);
      }
    },
  },
  {
    id: 'two-leaders',
    says: 'provisioner and attacher lead on different nodes and work on the same volumes',
    run: async (space) => {
      await spreadSidecars();
      const provisioner = await leaderNode('provisioner');
      if ((await leaderNode('attacher')).name === provisioner.name) await giveUpLead('attacher');
      const names = ['a', 'b', 'c', 'd'];
      await space.apply(...names.map((name) => claim(name)));
      await space.apply(...names.map((name) => pod(name, { claim: name })));
      for (const name of names) await space.reaches(`pod/${name}`, '.status.phase', 'Running');
      await space.apply(...names.map((name) => snapshot(name, name)));
      for (const name of names)
        await space.reaches(`volumesnapshot/${name}`, '.status.readyToUse', 'true');
      notEqual((await leaderNode('provisioner')).name, (await leaderNode('attacher')).name);
    },
  },
  {
    id: 'upgrade',
    says: 'an upgrade of the chart under load disturbs no pod, and new claims are served meanwhile',
    run: async (space) => {
      const script = countFor(file);
      await space.apply(
        ...nodes.flatMap((node) => [
          claim(node.name),
          pod(node.name, { claim: node.name, node, script }),
        ]),
      );
      for (const { name } of nodes) await space.reaches(`pod/${name}`, '.status.phase', 'Running');
      await Promise.all([
        installDriver(driverImage.nextTag),
        space.apply(claim('during'), pod('during', { claim: 'during' })),
      ]);
      await space.reaches('pod/during', '.status.phase', 'Running', 120_000);
      for (const { name } of nodes) {
        equal(await space.get(`pod/${name}`, '.status.phase'), 'Running');
        isCount(await space.exec(name, `cat ${file}`));
      }
      await installDriver();
    },
  },
];

// After the loss of a node, both replicas are on the one that was left, and stay there.
async function spreadSidecars(): Promise<void> {
  const label = ['-l', 'app.kubernetes.io/component=controller'];
  const place = ['-n', release.namespace];
  const path = 'jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName}{"\\n"}{end}';
  await until('the sidecars are on both nodes', 180_000, async () => {
    await rolledOut();
    const out = await kubectl([...place, 'get', 'pods', ...label, '-o', path]);
    const pods = out
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    if (new Set(pods.map(([, node]) => node)).size === nodes.length) return true;
    const [name = ''] = pods[0] ?? [];
    await kubectl([...place, 'delete', 'pod', name, '--force', '--grace-period=0']);
    return false;
  });
}

/** A script that writes 1, 2, 3 and so on, each synced, and ends when that fails. */
const countFor = (path: string): string =>
  `n=0; while :; do n=$((n+1)); echo $n >> ${path} || exit 1; sync; sleep 0.1; done`;

function isCount(text: string): void {
  const lines = text.trim().split('\n').map(Number);
  ok(
    lines.length > 10 && lines.every((line, n) => line === n + 1),
    `each line is one more than that before it, of ${lines.length}`,
  );
}

async function nodeIs({ name }: Node, ready: string): Promise<boolean> {
  const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  return (await kubectl(['get', 'node', name, '-o', path])) === ready;
}

const readyDrivers = (): Promise<string> => {
  const path = 'jsonpath={.status.numberReady}';
  return kubectl(['-n', release.namespace, 'get', daemonSet, '-o', path]);
};

// The attacher writes the driver's own sentence there; the pod's events repeat it.
async function attachErrors(space: Space, name: string): Promise<string> {
  const path = 'jsonpath={.items[*].status.attachError.message}';
  const errors = await kubectl(['get', 'volumeattachments', '-o', path]);
  return `${errors}\n${await space.events(`pod/${name}`)}`;
}

const leases: Readonly<Record<string, RegExp>> = {
  provisioner: /^gpfs-clone-csi$/,
  attacher: /attacher.*gpfs-clone-csi/,
};

async function leaseOf(sidecar: string): Promise<string> {
  const out = await kubectl(['-n', release.namespace, 'get', 'leases', '-o', 'name']);
  const names = out.split('\n').map((name) => name.replace(/^.*\//, ''));
  const found = names.find((name) => leases[sidecar]?.test(name));
  if (found === undefined) throw new Error(`the ${sidecar} has no lease among ${names.join(', ')}`);
  return found;
}

/**
 * The node of the replica that leads for a sidecar. The lease of a pod that is gone stands until it runs out,
 * and nobody leads meanwhile.
 */
const leaderNode = (sidecar: string): Promise<Node> =>
  until(`a replica that runs leads for the ${sidecar}`, 90_000, () => leaseHolder(sidecar));

async function leaseHolder(sidecar: string): Promise<Node> {
  const place = ['-n', release.namespace, 'get'];
  const lease = await leaseOf(sidecar);
  const holder = await kubectl([...place, 'lease', lease, '-o', 'jsonpath={.spec.holderIdentity}']);
  // The identity is the host name, which is the pod's, with or without more behind it.
  const pods = await kubectl([
    ...place,
    'pods',
    '-o',
    'jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName}{"\\n"}{end}',
  ]);
  const line = pods.split('\n').find((each) => {
    const [name] = each.split(' ');
    return name !== undefined && name !== '' && holder.includes(name);
  });
  const node = nodes.find(({ name }) => line?.endsWith(` ${name}`));
  if (node === undefined) throw new Error(`nobody leads for the ${sidecar} (${holder})`);
  return node;
}

/** Stops the sidecar that leads until the other replica has taken over. */
async function giveUpLead(sidecar: string): Promise<void> {
  const leading = await leaderNode(sidecar);
  const send = (signal: string): Promise<string> =>
    onNode(leading, ['pkill', `-${signal}`, '-x', `csi-${sidecar}`]);
  await send('STOP');
  try {
    await until(`the other ${sidecar} leads`, 90_000, async () => {
      const now = await leaderNode(sidecar);
      return now.name !== leading.name;
    });
  } finally {
    await send('CONT');
  }
}
