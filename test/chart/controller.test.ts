import { beforeAll, describe, expect, test } from 'vitest';
import { goTool, goToolLimitMs, helmTool } from '../support/tools/go-tool.ts';
import { manifests, type Values } from './helm.ts';

beforeAll(() => goTool(helmTool), goToolLimitMs);

interface Deployment {
  readonly strategy: unknown;
  readonly template: { readonly spec: Readonly<Record<string, unknown>> };
}

const roots = ['/gpfs/fs1/csi'];

async function controller(values: Values): Promise<Deployment> {
  const objects = await manifests({ roots, ...values });
  return objects.find(({ kind }) => kind === 'Deployment')?.['spec'] as Deployment;
}

describe('replicas of the sidecars', () => {
  test('have a node each, and a lost one keeps its place', async () => {
    const { strategy, template } = await controller({});
    expect(template.spec['topologySpreadConstraints']).toMatchObject([
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'DoNotSchedule',
        nodeTaintsPolicy: 'Ignore',
      },
    ]);
    // With as many replicas as nodes there is no place for a third.
    expect(strategy).toMatchObject({ rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } });
  });

  test('may stand together where that is asked for', async () => {
    const { template } = await controller({ controller: { spread: 'preferred' } });
    expect(template.spec['topologySpreadConstraints']).toMatchObject([
      { whenUnsatisfiable: 'ScheduleAnyway' },
    ]);
  });

  const term = (value: string) => ({
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'In', values: [value] }] }],
    },
  });

  test('go where the driver goes, or the constraint would count nodes without it', async () => {
    const node = { nodeSelector: { gpfs: 'yes' }, affinity: { nodeAffinity: term('b') } };
    const { template } = await controller({ node });
    expect(template.spec['nodeSelector']).toEqual(node.nodeSelector);
    expect(template.spec['affinity']).toMatchObject(node.affinity);
  });

  test('go where the values say, if the values say it', async () => {
    const node = { nodeSelector: { gpfs: 'yes' }, affinity: { nodeAffinity: term('b') } };
    const own = { nodeSelector: { infra: 'yes' }, nodeAffinity: term('c') };
    const { template } = await controller({ node, controller: own });
    expect(template.spec['nodeSelector']).toEqual(own.nodeSelector);
    expect(template.spec['affinity']).toMatchObject({ nodeAffinity: own.nodeAffinity });
  });
});
