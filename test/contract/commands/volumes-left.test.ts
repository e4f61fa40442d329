import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';

// What `helm uninstall` runs in a pod: a process of its own, which asks an API server by TLS.

const token = 'the-token-of-the-pod';
const volume = (n: number, driver: string) => ({
  metadata: { name: `pv-${n}` },
  spec: {
    csi: { driver },
    ...(n % 2 === 0 ? { claimRef: { namespace: 'db', name: `c${n}` } } : {}),
  },
});

let account: string;
let server: Server;
let pages: readonly (readonly unknown[])[] = [];
let status = 200;

beforeAll(async () => {
  account = await mkdtemp(join(tmpdir(), 'account-'));
  const [key, ca] = [join(account, 'key.pem'), join(account, 'ca.crt')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const subject = ['-nodes', '-subj', '/CN=api', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', [...request, ...subject, '-keyout', key, '-out', ca], {
    stdio: 'ignore',
  });
  await writeFile(join(account, 'token'), `${token}\n`);
  const options = { key: await readFile(key), cert: await readFile(ca) };
  server = createServer(options, ({ url = '', headers }, response) => {
    const { pathname, searchParams } = new URL(url, 'https://api');
    const known = pathname === '/api/v1/persistentvolumes' && searchParams.get('limit') === '500';
    const may = headers.authorization === `Bearer ${token}`;
    const n = Number(searchParams.get('continue') ?? '') || 0;
    response.writeHead(known ? (may ? status : 401) : 404);
    const next = n + 1 < pages.length ? { continue: String(n + 1) } : {};
    response.end(JSON.stringify({ metadata: next, items: pages[n] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.close();
  await rm(account, { recursive: true });
});

async function volumesLeft(env: Readonly<Record<string, string>> = {}, directory = account) {
  const { port } = server.address() as AddressInfo;
  const pod = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(port) };
  const words = ['volumes-left', '--driver-name', 'gpfs-clone.csi', '--account-dir', directory];
  const child = spawn(process.execPath, [inject('program'), ...words], {
    env: { ...pod, NODE_COMPILE_CACHE: inject('compiled'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit');
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await exit) as [number | null];
  return { code, out, err };
}

test('none of this driver: 0, whatever others have', async () => {
  pages = [[volume(1, 'other.csi')], [{ metadata: { name: 'nfs' }, spec: {} }]];
  expect(await volumesLeft()).toEqual({
    code: 0,
    out: 'no PersistentVolume is of driver gpfs-clone.csi\n',
    err: '',
  });
});

test('some, over several pages: 1, with how many, of whom, and what to do', async () => {
  const many = Array.from({ length: 7 }, (_, n) => volume(n, 'gpfs-clone.csi'));
  pages = [many.slice(0, 3), [volume(9, 'other.csi')], many.slice(3)];
  const { code, out, err } = await volumesLeft();
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toBe(
    '7 PersistentVolumes are of driver gpfs-clone.csi (db/c0, pv-1, db/c2, pv-3, db/c4, and 2 more), which nothing could use or delete without it; delete their claims first, or keep the volumes in their roots: helm uninstall --no-hooks, as docs/uninstall.md says\n',
  );
  pages = [many.slice(0, 1)];
  expect((await volumesLeft()).err).toMatch(/^1 PersistentVolume is of driver/);
});

test('what is not known is no leave: refused, silent, away, or without an account', async () => {
  pages = [[]];
  status = 403;
  const refused = await volumesLeft();
  status = 200;
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toMatch(/the API server answers with 403 .*; try again\n$/);
  const away = await volumesLeft({ KUBERNETES_SERVICE_PORT: '1' });
  expect(away).toMatchObject({ code: 1, out: '' });
  expect(away.err).toMatch(/the API server does not answer \(.*ECONNREFUSED.*\); try again\n$/);
  const without = await volumesLeft({}, '/proc/none');
  expect(without).toMatchObject({ code: 1, out: '' });
  expect(without.err).toMatch(/this pod has no account for the API server: .*; give it/);
  const stranger = await mkdtemp(join(tmpdir(), 'account-'));
  execFileSync('cp', [join(account, 'token'), stranger]);
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
  ];
  const files = ['-subj', '/CN=x', '-keyout', '/dev/null', '-out', join(stranger, 'ca.crt')];
  execFileSync('openssl', [...request, ...files], { stdio: 'ignore' });
  const other = await volumesLeft({}, stranger);
  await rm(stranger, { recursive: true });
  expect(other).toMatchObject({ code: 1, out: '' });
  expect(other.err).toMatch(/the API server does not answer \(.*certificate/);
  expect(refused.err + away.err + without.err + other.err).not.toContain(token);
});
