import { equal, ok } from 'node:assert/strict';
import type { Case } from '../case.ts';
import { nodes, type Node } from '../cluster/node.ts';
import { kubectl, type Space } from '../kube.ts';
import { claim, pod } from '../objects.ts';
import { driverLog } from '../pods.ts';
import { patienceMs, until } from '../setup/wait.ts';

const [first, second] = nodes;
const gibibyte = 2 ** 30;

/** What the kubelet reports of volumes. */
export const statisticsCases: readonly Case[] = [
  {
    id: 'statistics',
    says: 'the kubelet reports the size of a file system, a block and a shared block claim, and the driver warns of nothing',
    run: async (space) => {
      await space.apply(
        claim('file'),
        claim('block', { block: true }),
        claim('shared', { block: true, access: 'ReadWriteMany' }),
        pod('file', { claim: 'file', node: first }),
        pod('block', { claim: 'block', block: true, node: first }),
        pod('one', { claim: 'shared', block: true, node: first }),
        pod('two', { claim: 'shared', block: true, node: second }),
      );
      for (const name of ['file', 'block', 'one', 'two'])
        await space.reaches(`pod/${name}`, '.status.phase', 'Running');
      equal(await reported(space, first, 'capacity_bytes', 'block'), gibibyte);
      for (const node of nodes)
        equal(await reported(space, node, 'capacity_bytes', 'shared'), gibibyte);
      const capacity = await reported(space, first, 'capacity_bytes', 'file');
      ok(capacity > 0.8 * gibibyte && capacity <= gibibyte, `a file system of ${capacity} bytes`);
      ok((await reported(space, first, 'used_bytes', 'file')) > 0);
      ok((await reported(space, first, 'available_bytes', 'file')) < capacity);
      ok((await reported(space, first, 'inodes', 'file')) > 1_000);
      await nothingRefused(space);
    },
  },
];

/** The value of `kubelet_volume_stats_NAME` for a claim, once the kubelet of the node has it. */
const reported = (space: Space, node: Node, name: string, of: string): Promise<number> =>
  until(`the kubelet of ${node.name} reports ${name} of ${of}`, patienceMs, async () => {
    const metrics = await kubectl(['get', '--raw', `/api/v1/nodes/${node.name}/proxy/metrics`]);
    const labels = `{namespace="${space.name}",persistentvolumeclaim="${of}"}`;
    const start = `kubelet_volume_stats_${name}${labels} `;
    const line = metrics.split('\n').find((each) => each.startsWith(start));
    return line === undefined ? undefined : Number(line.slice(start.length));
  });

/** Fails if a driver has answered a kubelet's question about one of these claims with an error. */
async function nothingRefused(space: Space): Promise<void> {
  const volumes = await Promise.all(
    ['file', 'block', 'shared'].map((name) => space.get(`pvc/${name}`, '.spec.volumeName')),
  );
  for (const node of nodes) {
    const refused = (await driverLog(node))
      .split('\n')
      .filter(
        (line) => line.includes('"rpc":"NodeGetVolumeStats"') && !line.includes('"code":"OK"'),
      )
      .filter((line) => volumes.some((volume) => line.includes(volume)));
    equal(refused.length, 0, refused[0]);
  }
}
