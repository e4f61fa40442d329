import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { release, runFolder } from '../setup/places.ts';
import { kubernetesFolder, moduleFolder, programFile, sidecars } from '../setup/programs.ts';
import { patienceMs, until } from '../setup/wait.ts';
import { kubectl } from '../kube.ts';
import { credentials } from './credentials.ts';
import { bridgeAddress, kubeconfig } from './network.ts';
import { startProcess, stopProcess } from './processes.ts';

const names = [
  'snapshot-controller',
  'scheduler',
  'controller-manager',
  'apiserver',
  'etcd',
] as const;

/** Each request of the sidecars, as a line of JSON. */
export const auditLog = join(runFolder, 'audit.log');
const auditPolicy = join(runFolder, 'audit-policy.json');
const countSidecars = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [
    {
      level: 'Metadata',
      users: [`system:serviceaccount:${release.namespace}:${release.name}-controller`],
    },
    { level: 'None' },
  ],
};

const program = (name: string): string => join(kubernetesFolder, name);
const credential = (name: string): string => join(credentials, name);

/** Starts etcd and the API server, and waits until it answers. */
export async function startApi(): Promise<void> {
  const clients = 'http://127.0.0.1:2379';
  const peers = 'http://127.0.0.1:2380';
  const listen = [
    `--listen-client-urls=${clients}`,
    `--advertise-client-urls=${clients}`,
    `--listen-peer-urls=${peers}`,
    `--initial-advertise-peer-urls=${peers}`,
    `--initial-cluster=e2e=${peers}`,
  ];
  // The data is discarded in the end, so it need not be durable.
  const place = ['--name=e2e', `--data-dir=${join(runFolder, 'etcd')}`, '--unsafe-no-fsync'];
  startProcess('etcd', ['etcd', ...place, ...listen]);
  await writeFile(auditPolicy, JSON.stringify(countSidecars));
  startProcess('apiserver', [
    program('kube-apiserver'),
    `--etcd-servers=${clients}`,
    '--secure-port=6443',
    `--advertise-address=${bridgeAddress}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    `--tls-cert-file=${credential('api.crt')}`,
    `--tls-private-key-file=${credential('api.key')}`,
    `--client-ca-file=${credential('ca.crt')}`,
    `--token-auth-file=${credential('tokens.csv')}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${credential('accounts.pub')}`,
    `--service-account-signing-key-file=${credential('accounts.key')}`,
    '--allow-privileged=true',
    '--kubelet-preferred-address-types=InternalIP',
    `--audit-policy-file=${auditPolicy}`,
    `--audit-log-path=${auditLog}`,
  ]);
  await until('the API server is ready', patienceMs, () => kubectl(['get', '--raw', '/readyz']));
}

/** Starts the controllers and the scheduler. */
export async function startControllers(): Promise<void> {
  startProcess('controller-manager', [
    program('kube-controller-manager'),
    `--kubeconfig=${kubeconfig('controllers')}`,
    '--leader-elect=false',
    `--service-account-private-key-file=${credential('accounts.key')}`,
    `--root-ca-file=${credential('ca.crt')}`,
    '--use-service-account-credentials=true',
    '--bind-address=127.0.0.1',
    `--cluster-signing-cert-file=${credential('ca.crt')}`,
    `--cluster-signing-key-file=${credential('ca.key')}`,
    `--flex-volume-plugin-dir=${join(runFolder, 'volumeplugins')}`,
    // A lost node is noticed sooner than by default.
    '--node-monitor-grace-period=25s',
  ]);
  startProcess('scheduler', [
    program('kube-scheduler'),
    `--kubeconfig=${kubeconfig('scheduler')}`,
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
  ]);
  const binding = ['create', 'clusterrolebinding', 'kube-proxy'];
  const role = ['--clusterrole=system:node-proxier', '--user=system:kube-proxy'];
  // It is there already when the cluster is brought up a second time.
  await kubectl([...binding, ...role]).catch(() => undefined);
}

/** Installs the snapshot API and runs its controller, as a cluster's own administrator would. */
export async function startSnapshots(): Promise<void> {
  const client = 'github.com/kubernetes-csi/external-snapshotter/client/v8';
  const folder = join(await moduleFolder('sidecars', client), 'config', 'crd');
  const files = (await readdir(folder)).filter((name) => /^snapshot\.storage.*\.yaml$/.test(name));
  for (const file of files) await kubectl(['apply', '--server-side', '-f', join(folder, file)]);
  for (const file of files)
    await kubectl([
      'wait',
      '--for=condition=Established',
      '--timeout=30s',
      '-f',
      join(folder, file),
    ]);
  const controller = sidecars.find(({ name }) => name === 'snapshot-controller');
  if (controller === undefined) return;
  startProcess('snapshot-controller', [
    programFile(controller),
    `--kubeconfig=${kubeconfig('admin')}`,
    '--leader-election=false',
  ]);
}

/** Ends the control plane. */
export async function stopControlPlane(): Promise<void> {
  // Waits for 2 s only: their data is discarded, so the API server need not end its watches.
  await Promise.all(names.map((name) => stopProcess(name, 2000)));
}
