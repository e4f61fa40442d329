import { equal, match, rejects } from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Case } from '../case.ts';
import { kubectl, type Space } from '../kube.ts';
import { claim, className, pod, volumePath } from '../objects.ts';
import { checkout } from '../setup/places.ts';
import { patienceMs, until } from '../setup/wait.ts';

const example = join(checkout, 'deploy', 'examples', 'tenants', 'policy.yaml');

/** What a tenant cannot do. */
export const tenantCases: readonly Case[] = [
  {
    id: 'tenant-classes',
    says: 'deploy/examples/tenants: a namespace gets no volume of a class that is not its own, and those it has can go',
    run: async (space) => {
      await space.apply(claim('before'));
      await space.reaches('pvc/before', '.status.phase', 'Bound');
      await withPolicy(space, async () => {
        await until('the policy holds', patienceMs, () => isRefused(space));
        await rejects(
          space.apply(claim('after')),
          new RegExp(`storage class ${className} is not for namespace ${space.name}`),
        );
        equal(await space.get('pvc/after', '.metadata.name'), '');
        await space.kubectl(['label', 'pvc', 'before', 'may=change']);
        await space.remove('pvc/before');
        const data = { [className]: `another-namespace ${space.name}` };
        await space.kubectl(['patch', 'configmap', space.name, '-p', JSON.stringify({ data })]);
        await until('the namespace may', patienceMs, async () => !(await isRefused(space)));
        await space.apply(claim('own'));
        await space.reaches('pvc/own', '.status.phase', 'Bound');
      });
    },
  },
  {
    id: 'nosuid',
    says: 'a pod has its volume without setuid programs and devices that count',
    run: async (space) => {
      await space.apply(claim('a'), pod('user', { claim: 'a' }));
      await space.reaches('pod/user', '.status.phase', 'Running');
      const line = await space.exec('user', `grep ' ${volumePath} ' /proc/mounts`);
      match(line, /[ ,]nosuid,/);
      match(line, /[ ,]nodev,/);
    },
  },
];

/** A dry run of a claim that the policy must refuse. */
const isRefused = async (space: Space): Promise<boolean> =>
  space
    .kubectl(['apply', '--dry-run=server', '-f', '-'], { input: JSON.stringify(claim('tried')) })
    .then(
      () => false,
      () => true,
    );

/** Work under the policy of the example, for the class of the chart, which only another namespace may use. */
async function withPolicy(space: Space, work: () => Promise<void>): Promise<void> {
  const text = (await readFile(example, 'utf8'))
    .replaceAll('name: gpfs-csi-classes', `name: ${space.name}`)
    .replaceAll('policyName: gpfs-csi-classes', `policyName: ${space.name}`)
    .replaceAll('namespace: gpfs-csi', `namespace: ${space.name}`)
    .replace(/^ {2}fast: .*$/m, `  ${className}: another-namespace`);
  await kubectl(['apply', '-f', '-'], { input: text });
  try {
    await work();
  } finally {
    await kubectl(['delete', '--wait=true', '-f', '-'], { input: text });
  }
}
