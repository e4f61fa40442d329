import { deepEqual, equal, match } from 'node:assert/strict';
import { z } from 'zod';
import { get, pathOf, valueAt } from '../api.ts';
import type { Case } from '../case.ts';
import { nodes, type Node } from '../cluster/node.ts';
import { installDriver } from '../driver.ts';
import { mountOn, unmountOn } from '../gpfs.ts';
import { apply, kubectl, type Space } from '../kube.ts';
import { claim, className, pod } from '../objects.ts';
import { restartDriver } from '../pods.ts';
import { release } from '../setup/places.ts';
import { patienceMs, until } from '../setup/wait.ts';

const [first, second] = nodes;
const waiting = 'e2e-waiting';
const keys = /^gpfs-clone\.csi\/root-[0-9a-f]{8}$/;

/** A root that one of the nodes has not mounted. */
export const topologyCases: readonly Case[] = [
  {
    id: 'topology',
    says: 'pods run where their root is mounted, or wait, and a node that mounts it later gets its label and the pods',
    run: async (space) => {
      // The sidecars lead where every root is.
      const controller = { nodeSelector: { 'kubernetes.io/hostname': first.name } };
      await installDriver({ values: { topology: { enabled: true }, controller } });
      await makeClass();
      try {
        const key = await forget(second);
        await goToTheRoot(space);
        await waitForTheRoot(space, key);
        await mountOn(second);
        await until('the node that mounts the root has its label', patienceMs, async () => {
          return (await labelsOf(second)).includes(key);
        });
        for (const name of ['there', 'there-too'])
          await space.reaches(`pod/${name}`, '.status.phase', 'Running');
      } finally {
        await mountOn(second).catch(() => undefined);
        await space.remove('pods', '--all');
        await space.remove('pvc', '--all');
        await undo();
      }
      // The provisioner may have begun while the driver still reported roots.
      await space.apply(claim('after'));
      await space.reaches('pvc/after', '.status.phase', 'Bound');
    },
  },
];

const makeClass = (): Promise<void> =>
  apply({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: waiting },
    provisioner: release.driver,
    volumeBindingMode: 'WaitForFirstConsumer',
  });

const labelsOf = async ({ name }: Node): Promise<readonly string[]> => {
  const { metadata } = labelled.parse(await get(pathOf(`node/${name}`, '')));
  return Object.keys(metadata.labels).filter((key) => keys.test(key));
};

const labelled = z.object({ metadata: z.object({ labels: z.record(z.string(), z.string()) }) });

/** Makes a node look as if it never had the root: registered without it, and without its label. Resolves to the key. */
async function forget(node: Node): Promise<string> {
  await until('both nodes have the label of the root', patienceMs, async () => {
    const found = await Promise.all(nodes.map(labelsOf));
    return found.every(({ length }) => length === 1);
  });
  const [key = ''] = await labelsOf(node);
  await unmountOn(node);
  await restartDriver(node);
  await kubectl(['label', 'node', node.name, `${key}-`]);
  await until('the node is registered without the root', patienceMs, async () => {
    const found = (await topologyKeys(node)).find(({ name }) => name === release.driver);
    return found !== undefined && (found.topologyKeys ?? []).length === 0;
  });
  return key;
}

const csiNode = z.object({
  spec: z.object({
    drivers: z
      .array(z.object({ name: z.string(), topologyKeys: z.array(z.string()).nullish() }))
      .nullish(),
  }),
});

const topologyKeys = async ({ name }: Node) =>
  csiNode.parse(await get(pathOf(`csinode/${name}`, ''))).spec.drivers ?? [];

/** Pods that may run anywhere, more of them than chance would send to one node. */
async function goToTheRoot(space: Space): Promise<void> {
  const names = ['a', 'b', 'c', 'd'];
  await until('the scheduler knows where the class has room', patienceMs, async () => {
    const ask = ['get', 'csistoragecapacities', '-o', 'jsonpath={.items[*].storageClassName}'];
    return (await kubectl(['-n', release.namespace, ...ask])).split(' ').includes(waiting);
  });
  await space.apply(
    ...names.map((name) => claim(name, { className: waiting })),
    ...names.map((name) => pod(name, { claim: name })),
  );
  for (const name of names) await space.reaches(`pod/${name}`, '.status.phase', 'Running');
  const places = await Promise.all(names.map((name) => space.get(`pod/${name}`, '.spec.nodeName')));
  deepEqual([...new Set(places)], [first.name]);
  // The scheduler did not just try: a node that was chosen and failed would have left an event.
  for (const name of names)
    equal((await space.events(`pvc/${name}`)).includes('ProvisioningFailed'), false);
}

/** Pods that must run on a node without the root. */
async function waitForTheRoot(space: Space, key: string): Promise<void> {
  await space.apply(
    claim('there', { className }),
    claim('there-too', { className: waiting }),
    pod('there', { claim: 'there', node: second }),
    pod('there-too', { claim: 'there-too', node: second }),
  );
  await space.reaches('pvc/there', '.status.phase', 'Bound');
  const volume = await get(pathOf(`pv/${await space.get('pvc/there', '.spec.volumeName')}`, ''));
  deepEqual(JSON.parse(valueAt(volume, '.spec.nodeAffinity.required.nodeSelectorTerms')), [
    { matchExpressions: [{ key, operator: 'In', values: ['mounted'] }] },
  ]);
  const says = (name: string, why: RegExp): Promise<unknown> =>
    until(`the scheduler says why ${name} waits: ${why.source}`, patienceMs, async () =>
      why.test(await space.events(`pod/${name}`)),
    );
  await says('there', /FailedScheduling: .*node affinity/);
  await says('there-too', /FailedScheduling: .*did not have enough free storage/);
  match(await space.get('pvc/there-too', '.status.phase'), /^Pending$/);
}

/** Restores the usual installation, and removes the labels of the nodes, which nothing else removes. */
async function undo(): Promise<void> {
  await kubectl(['delete', 'storageclass', waiting, '--ignore-not-found']);
  await installDriver();
  const capacities = ['delete', 'csistoragecapacities', '--all'];
  await kubectl(['-n', release.namespace, ...capacities]);
  for (const node of nodes) {
    const labels = await labelsOf(node);
    if (labels.length > 0)
      await kubectl(['label', 'node', node.name, ...labels.map((key) => `${key}-`)]);
  }
}
