import { notEqual, ok } from 'node:assert/strict';
import { get, pathOf, valueAt, type Seen } from '../api.ts';
import type { Case } from '../case.ts';
import { nodes, onNode, type Node } from '../cluster/node.ts';
import { mountOn, unmountOn } from '../gpfs.ts';
import type { Space } from '../kube.ts';
import { claim, pod, snapshot } from '../objects.ts';
import { isReady, podsOf } from '../pods.ts';
import { release, type Release } from '../setup/places.ts';
import { longPatienceMs, patienceMs, until } from '../setup/wait.ts';

/** Sidecars that lead on different nodes. */
export const leaderCases: readonly Case[] = [
  {
    id: 'leader-without-gpfs',
    says: 'the sidecars of the other node take over when GPFS is gone on the node where they lead',
    run: async (space) => {
      await sidecarsAreApart();
      const leading = await leaderNode('provisioner');
      await unmountOn(leading);
      try {
        // A sidecar notices only at its next call that the driver's socket is gone.
        await space.apply(claim('a'));
        await space.reaches('pvc/a', '.status.phase', 'Bound');
        notEqual((await leaderNode('provisioner')).name, leading.name);
      } finally {
        await mountOn(leading);
      }
      await sidecarsAreApart();
    },
  },
  {
    id: 'two-leaders',
    says: 'provisioner and attacher lead on different nodes and work on the same volumes',
    run: async (space) => {
      // A leader may lose its lease at any time on a busy machine, and an idle one notices only at its first call
      // that its driver was away. The work must succeed then too, but it shows nothing about two leaders.
      for (const round of [1, 2, 3, 4, 5]) {
        await sidecarsAreApart();
        if ((await leadersPlaces()).size < nodes.length) await giveUpLead('attacher');
        const before = await leadersPlaces();
        await useVolumes(space, round);
        const after = await leadersPlaces();
        const [was, is] = [[...before].join(), [...after].join()];
        if (before.size === nodes.length && was === is) return;
        await space.remove('pods', '--all');
        ok(round < 5, `the leaders did not stay where they were: ${was}, then ${is}`);
      }
    },
  },
];

/** The nodes on which provisioner and attacher lead, in this order; one where it is the same. */
const leadersPlaces = async (): Promise<ReadonlySet<string>> =>
  new Set([(await leaderNode('provisioner')).name, (await leaderNode('attacher')).name]);

async function useVolumes(space: Space, round: number): Promise<void> {
  const names = ['a', 'b', 'c', 'd'].map((name) => `${name}${round}`);
  await space.apply(...names.map((name) => claim(name)));
  await space.apply(...names.map((name) => pod(name, { claim: name })));
  for (const name of names) await space.reaches(`pod/${name}`, '.status.phase', 'Running');
  await space.apply(...names.map((name) => snapshot(name, name)));
  for (const name of names)
    await space.reaches(`volumesnapshot/${name}`, '.status.readyToUse', 'true');
}

/** Waits until each node has a replica of the sidecars, all of whose containers run. */
export async function sidecarsAreApart(of: Release = release): Promise<void> {
  await until('each node has a replica of the sidecars', longPatienceMs, async () => {
    const pods = (await podsOf('controller', of)).filter(isReady);
    return new Set(pods.map((each) => valueAt(each, '.spec.nodeName'))).size === nodes.length;
  });
}

const leaseNames: Readonly<Record<Sidecar, (driver: string) => string>> = {
  provisioner: (driver) => driver,
  attacher: (driver) => `external-attacher-leader-${driver}`,
};
type Sidecar = 'provisioner' | 'attacher';

/**
 * The pod that leads for a sidecar. When a pod is gone, its lease stays until it runs out,
 * and no pod leads meanwhile.
 */
const leader = (sidecar: Sidecar, of: Release = release): Promise<Seen> =>
  until(`a replica that runs leads for the ${sidecar}`, patienceMs, async () => {
    const name = leaseNames[sidecar](of.driver).replaceAll('.', '-');
    const lease = await get(pathOf(`lease/${name}`, of.namespace));
    // The identity is the host name, which is the pod's, with or without more behind it.
    const holder = valueAt(lease, '.spec.holderIdentity');
    const pods = (await podsOf('controller', of)).filter(isReady);
    return pods.find(({ metadata }) => holder.includes(metadata.name));
  });

async function leaderNode(sidecar: Sidecar, of?: Release): Promise<Node> {
  const found = valueAt(await leader(sidecar, of), '.spec.nodeName');
  const node = nodes.find(({ name }) => name === found);
  if (node === undefined) throw new Error(`the ${sidecar} leads on "${found}", which is no node`);
  return node;
}

/** Stops the sidecar that leads, of every release on its node, until the other replica has taken over. */
export async function giveUpLead(sidecar: Sidecar, of?: Release): Promise<void> {
  const leading = await leaderNode(sidecar, of);
  const send = (signal: string): Promise<string> =>
    onNode(leading, ['pkill', `-${signal}`, '-x', `csi-${sidecar}`]);
  await send('STOP');
  try {
    await until(`the other ${sidecar} leads`, patienceMs, async () => {
      const now = await leaderNode(sidecar, of);
      return now.name !== leading.name;
    });
  } finally {
    // The kubelet may have started another one, as for any process that hangs.
    await send('CONT').catch(() => undefined);
  }
}
