import { z } from 'zod';
import { conditionOf, get, list, pathOf, valueAt, type Seen } from './api.ts';
import type { Node } from './cluster/node.ts';
import { kubectl } from './kube.ts';
import { release, type Release } from './setup/places.ts';
import { patienceMs, until } from './setup/wait.ts';

/** Pods of one part of a release: `node` or `controller`. */
export async function podsOf(
  component: 'node' | 'controller',
  { namespace }: Release = release,
): Promise<readonly Seen[]> {
  const selector = `labelSelector=app.kubernetes.io%2Fcomponent%3D${component}`;
  return list(`${pathOf('pod', namespace)}?${selector}`);
}

/** Whether a pod is ready and stays. */
export const isReady = (pod: Seen): boolean =>
  valueAt(pod, '.metadata.deletionTimestamp') === '' && conditionOf(pod, 'Ready') === 'True';

/** The driver's pod on a node. */
export async function driverPod(node: Node, of: Release = release): Promise<Seen> {
  const pods = await podsOf('node', of);
  const found = pods.find((each) => valueAt(each, '.spec.nodeName') === node.name);
  if (found === undefined) throw new Error(`there is no driver on ${node.name}`);
  return found;
}

/** What the driver on a node has logged. */
export const driverLog = async (node: Node): Promise<string> =>
  kubectl(['-n', release.namespace, 'logs', (await driverPod(node)).metadata.name]);

/** Deletes the driver's pod on a node and waits until there is another that runs. */
export async function restartDriver(node: Node, of: Release = release): Promise<void> {
  const { name } = (await driverPod(node, of)).metadata;
  await kubectl(['-n', of.namespace, 'delete', 'pod', name]);
  await until(`${node.name} has another driver`, patienceMs, async () => {
    const now = await driverPod(node, of);
    return now.metadata.name !== name && valueAt(now, '.status.phase') === 'Running';
  });
}

const csiNode = z.object({
  spec: z.object({ drivers: z.array(z.object({ name: z.string() })).nullish() }),
});

/** Whether the kubelet of a node knows the driver. */
export async function isRegistered(node: Node): Promise<boolean> {
  const { spec } = csiNode.parse(await get(pathOf(`csinode/${node.name}`, '')));
  return spec.drivers?.some(({ name }) => name === release.driver) === true;
}
