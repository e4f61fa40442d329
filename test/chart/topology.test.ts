import { beforeAll, describe, expect, test } from 'vitest';
import { goTool, goToolLimitMs, helmTool } from '../support/tools/go-tool.ts';
import { more } from './cases.ts';
import { manifests, type Manifest, type Values } from './helm.ts';

beforeAll(() => goTool(helmTool), goToolLimitMs);

interface Sidecar {
  readonly name: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string }[];
}

interface Role {
  readonly rules: readonly {
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

const on = more['topology']?.values ?? {};
const off: Values = { roots: ['/gpfs/fs1/csi'] };

const find = (objects: readonly Manifest[], kind: string, end = ''): Manifest => {
  const found = objects.find((each) => each.kind === kind && each.metadata.name.endsWith(end));
  if (!found) throw new Error(`there is no ${kind} …${end}`);
  return found;
};

const provisioner = (objects: readonly Manifest[]): Sidecar => {
  const { template } = find(objects, 'Deployment')['spec'] as {
    readonly template: { readonly spec: { readonly containers: readonly Sidecar[] } };
  };
  const found = template.spec.containers.find(({ name }) => name === 'provisioner');
  if (!found) throw new Error('there is no provisioner');
  return found;
};

const verbsOf = (objects: readonly Manifest[], kind: string, end: string, resource: string) =>
  (find(objects, kind, end) as unknown as Role).rules.find(({ resources }) =>
    resources.includes(resource),
  )?.verbs;

const flags = ['--strict-topology', '--immediate-topology=false', '--enable-capacity'];

describe('topology', () => {
  test('off: the provisioner knows of no nodes, and the scheduler gets no capacity objects', async () => {
    const objects = await manifests(off);
    const { args, env } = provisioner(objects);
    expect(args.filter((arg) => /topology|capacity/i.test(arg))).toEqual([
      '--feature-gates=Topology=false',
    ]);
    expect(env.map(({ name }) => name)).toEqual(['NAMESPACE']);
    expect(find(objects, 'CSIDriver')['spec']).toMatchObject({ storageCapacity: false });
    expect(verbsOf(objects, 'ClusterRole', '-provisioner', 'nodes')).toEqual(['get']);
    expect(verbsOf(objects, 'ClusterRole', '-provisioner', 'csinodes')).toBeUndefined();
    expect(verbsOf(objects, 'Role', '-leader', 'csistoragecapacities')).toBeUndefined();
  });

  test('on: the provisioner may look at nodes, and tells which of them have a root', async () => {
    const objects = await manifests(on);
    const { args, env } = provisioner(objects);
    for (const flag of [...flags, '--capacity-ownerref-level=2']) expect(args).toContain(flag);
    expect(env.map(({ name }) => name)).toEqual(['NAMESPACE', 'POD_NAME']);
    expect(find(objects, 'CSIDriver')['spec']).toMatchObject({ storageCapacity: true });
    const looks = ['get', 'list', 'watch'];
    expect(verbsOf(objects, 'ClusterRole', '-provisioner', 'nodes')).toEqual(looks);
    expect(verbsOf(objects, 'ClusterRole', '-provisioner', 'csinodes')).toEqual(looks);
    expect(verbsOf(objects, 'Role', '-leader', 'csistoragecapacities')).toContain('create');
    expect(verbsOf(objects, 'Role', '-leader', 'replicasets')).toEqual(['get']);
  });

  test('a class may name its places', async () => {
    expect(find(await manifests(on), 'StorageClass')).toMatchObject({
      volumeBindingMode: 'WaitForFirstConsumer',
      allowedTopologies: [{ matchLabelExpressions: [{ values: ['mounted'] }] }],
    });
  });
});
