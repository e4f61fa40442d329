import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goTool, goToolLimitMs, helmTool } from '../support/tools/go-tool.ts';
import { onCluster, type Values } from './helm.ts';

// A stand-in for the API server of a cluster that has the chart and volumes already: helm asks it what it looks up.

const driver = 'gpfs-clone.csi';
const owner = '11111111-2222-3333-4444-555555555555';
const values = { roots: ['/gpfs/fs1/csi', '/gpfs/fs2/csi'], owner };

const volume = (name: string, of: string) => ({
  metadata: { name },
  spec: { csi: { driver: of } },
});
const some = [volume('a', driver), volume('b', 'other.csi'), volume('c', driver)];

const env = Object.entries({
  GPFS_CSI_DRIVER_NAME: driver,
  GPFS_CSI_OWNER: owner,
  GPFS_CSI_ROOT: values.roots.join(),
  GPFS_CSI_POOL: undefined,
}).map(([name, value]) => ({ name, value }));

const installed = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'gpfs-csi-node', namespace: 'gpfs-csi' },
  spec: { template: { spec: { containers: [{ name: 'driver', env }] } } },
};

/** The kinds that the chart makes, by their group. */
const served: Readonly<Record<string, readonly string[]>> = {
  v1: ['PersistentVolume', 'Namespace', 'ServiceAccount'],
  'apps/v1': ['DaemonSet', 'Deployment'],
  'batch/v1': ['Job'],
  'networking.k8s.io/v1': ['NetworkPolicy'],
  'policy/v1': ['PodDisruptionBudget'],
  'rbac.authorization.k8s.io/v1': ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'],
  'storage.k8s.io/v1': ['StorageClass', 'CSIDriver'],
};

const resourcesOf = (groupVersion: string) => ({
  kind: 'APIResourceList',
  groupVersion,
  resources: (served[groupVersion] ?? []).map((kind) => ({
    name: `${kind.toLowerCase()}s`,
    kind,
    namespaced: !/^(?:Cluster|Persistent|Storage|CSI|Namespace$)/.test(kind),
    singularName: '',
    verbs: ['get', 'list'],
  })),
});

const groups = Object.keys(served).filter((each) => each.includes('/'));

const answers: Readonly<Record<string, () => unknown>> = {
  '/version': () => ({ major: '1', minor: '37', gitVersion: 'v1.37.2' }),
  '/api': () => ({ kind: 'APIVersions', versions: ['v1'] }),
  '/apis': () => ({
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groups.map((groupVersion) => ({
      name: groupVersion.replace('/v1', ''),
      versions: [{ groupVersion, version: 'v1' }],
    })),
  }),
  '/api/v1': () => resourcesOf('v1'),
  ...Object.fromEntries(groups.map((group) => [`/apis/${group}`, () => resourcesOf(group)])),
  '/apis/apps/v1/namespaces/gpfs-csi/daemonsets/gpfs-csi-node': () => installed,
  '/api/v1/persistentvolumes': () => ({
    kind: 'PersistentVolumeList',
    apiVersion: 'v1',
    metadata: {},
    items: volumes.map((each) => ({ apiVersion: 'v1', kind: 'PersistentVolume', ...each })),
  }),
};

let volumes = some;
let server: Server;

beforeAll(async () => {
  server = createServer(({ url = '' }, response) => {
    const answer = answers[url.replace(/\?.*/, '')]?.();
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    const none = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 };
    response.end(JSON.stringify(answer ?? { ...none, reason: 'NotFound' }));
  }).listen(0, '127.0.0.1');
  await goTool(helmTool);
}, goToolLimitMs);
afterAll(() => server.close());

const upgrade = (changed: Values) =>
  onCluster(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    ...values,
    ...changed,
  });

const costly: readonly (readonly [what: string, changed: Values, why: RegExp])[] = [
  [
    'another driverName',
    { driverName: 'other.example' },
    /2 PersistentVolumes are of driver gpfs-clone\.csi, and with these values driverName becomes other\.example, and no driver serves the volumes of gpfs-clone\.csi: leave the values/,
  ],
  ['another owner', { owner: 'another' }, /owner becomes another, and the roots refuse the driver/],
  [
    'a root less',
    { roots: ['/gpfs/fs1/csi'] },
    /roots loses \/gpfs\/fs2\/csi, and no volume in it can be used or deleted: .*set force=true/,
  ],
];

test.each(costly)('%s is refused while there are volumes, unless it is forced', async (...row) => {
  const [, changed, why] = row;
  const refused = await upgrade(changed);
  expect(refused.ok ? 'helm took it' : refused.why).toMatch(why);
  expect(await upgrade({ ...changed, force: true })).toMatchObject({ ok: true });
});

test.each(costly)('%s is taken where the driver has no volume', async (_, changed) => {
  volumes = some.filter(({ spec }) => spec.csi.driver !== driver);
  try {
    expect(await upgrade(changed)).toMatchObject({ ok: true });
  } finally {
    volumes = some;
  }
});

test('what costs no volume is taken: the same values, one root more, another order', async () => {
  expect(await upgrade({})).toMatchObject({ ok: true });
  const roots = ['/gpfs/fs2/csi', '/gpfs/fs3/csi', '/gpfs/fs1/csi'];
  expect(await upgrade({ roots })).toMatchObject({ ok: true });
});
