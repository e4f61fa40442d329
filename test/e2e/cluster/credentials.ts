import { randomBytes } from 'node:crypto';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runFolder } from '../setup/places.ts';
import { sh } from '../setup/shell.ts';
import { bridgeAddress, kubeconfig } from './network.ts';

/** Certificates, keys and tokens of the control plane. */
export const credentials = join(runFolder, 'credentials');

interface User {
  readonly id: string;
  readonly name: string;
  readonly group?: string;
}

/** Makes the credentials of the control plane, once. */
export async function makeCredentials(nodeNames: readonly string[]): Promise<void> {
  const tokens = join(credentials, 'tokens.csv');
  if (await exists(tokens)) return;
  await mkdir(credentials, { recursive: true, mode: 0o700 });
  await makeKeys();
  const users: readonly User[] = [
    { id: 'admin', name: 'admin', group: 'system:masters' },
    { id: 'controllers', name: 'system:kube-controller-manager' },
    { id: 'scheduler', name: 'system:kube-scheduler' },
    { id: 'proxy', name: 'system:kube-proxy' },
    ...nodeNames.map((id) => ({ id, name: `system:node:${id}`, group: 'system:nodes' })),
  ];
  const rows = await Promise.all(users.map(admit));
  await writeFile(tokens, rows.join(''), { mode: 0o600 });
}

async function admit({ id, name, group }: User): Promise<string> {
  const token = randomBytes(16).toString('hex');
  const cluster = {
    server: `https://${bridgeAddress}:6443`,
    'certificate-authority': join(credentials, 'ca.crt'),
  };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'e2e', cluster }],
    users: [{ name: id, user: { token } }],
    contexts: [{ name: 'e2e', context: { cluster: 'e2e', user: id } }],
    'current-context': 'e2e',
  };
  await writeFile(kubeconfig(id), JSON.stringify(config), { mode: 0o600 });
  return [token, name, id, ...(group === undefined ? [] : [`"${group}"`])].join(',') + '\n';
}

async function makeKeys(): Promise<void> {
  const openssl = (...args: string[]): Promise<string> =>
    sh(['openssl', ...args], { cwd: credentials });
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  await openssl('genrsa', '-out', 'accounts.key', '2048');
  await openssl('rsa', '-in', 'accounts.key', '-pubout', '-out', 'accounts.pub');
  const authority = ['-days', '3650', '-subj', '/CN=gpfs-csi-e2e'];
  await openssl('req', '-x509', ...key, ...authority, '-keyout', 'ca.key', '-out', 'ca.crt');
  const request = ['-subj', '/CN=kube-apiserver', '-keyout', 'api.key', '-out', 'api.csr'];
  await openssl('req', ...key, ...request);
  const addresses = [bridgeAddress, '127.0.0.1', '10.96.0.1'].map((each) => `IP:${each}`);
  const names = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const all = [...addresses, ...names.map((name) => `DNS:${name}`)].join(',');
  await writeFile(join(credentials, 'api.ext'), `subjectAltName=${all}\n`);
  const signer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '3650'];
  const files = ['-extfile', 'api.ext', '-in', 'api.csr', '-out', 'api.crt'];
  await openssl('x509', '-req', ...signer, ...files);
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
