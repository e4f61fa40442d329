import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { asInImage, isNode } from '../../bench/program.ts';
import { newVolume } from '../../support/disk/csi.ts';
import { cli } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';

const site = await realSite();
const { words } = asInImage();
const beforeNode = words.slice(0, words.findIndex(isNode));

/** The entry point of the image on this machine: its words, with the Node and the program that the tests have. */
const entry = [...beforeNode, process.execPath, ...asInImage().flags, inject('program')];

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });

test('SIGUSR1 opens no inspector, with the flags of the image and without', async () => {
  for (const nodeFlags of [asInImage().flags, []]) {
    const server = await site.serve('a1', { nodeFlags });
    const listened = await listens(9229);
    for (let n = 0; n < 5; n += 1) {
      server.signal('SIGUSR1');
      await sleep(100);
    }
    expect(await listens(9229)).toBe(listened);
    expect(server.log()).not.toMatch(/debugger/i);
    await server.ok('Probe', {});
    await server.end();
  }
});

test('a server makes files for itself alone, and its commands make theirs as before', async () => {
  const server = await site.serve('a1');
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  expect(/^Umask:\s*(\d+)$/m.exec(status)?.[1]).toBe('0077');
  // The records of a root keep the modes that docs/records.md promises.
  await newVolume(server, 'modes');
  expect(statSync(join(site.root, '.gpfs-csi', 'root.json')).mode & 0o777).toBe(0o640);
  expect(statSync(join(site.root, 'volumes')).mode & 0o777).toBe(0o750);
  await server.ok('DeleteVolume', { volume_id: `${rootId()}.modes` });
  await server.end();
});

const rootId = (): string =>
  (
    JSON.parse(readFileSync(join(site.root, '.gpfs-csi', 'root.json'), 'utf8')) as {
      rootId: string;
    }
  ).rootId;

test('the entry point of the image writes no core file, and NODE_OPTIONS loads nothing', async () => {
  const evil = join(site.directory, 'evil.cjs');
  const loaded = join(site.directory, 'loaded');
  writeFileSync(evil, `require('node:fs').writeFileSync(${JSON.stringify(loaded)}, '');`);
  const env = { ...process.env, NODE_OPTIONS: `--require ${evil}` };
  const [program = '', ...args] = entry;
  const { stdout } = await promisify(execFile)(program, [...args, 'version'], { env });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
  expect(existsSync(loaded)).toBe(false);
  // Without the entry point, as a check of this test.
  await promisify(execFile)(process.execPath, [inject('program'), 'version'], { env });
  expect(existsSync(loaded)).toBe(true);
  const limits = await promisify(execFile)(
    beforeNode[0] ?? '',
    [...beforeNode.slice(1), 'cat', '/proc/self/limits'],
    { env },
  );
  expect(limits.stdout).toMatch(/^Max core file size +0 +0 /m);
});

test('commands in the pod show nothing of a root of another cluster, as the server does not', async () => {
  const { 'mm-dir': commands = '' } = site.flags('a1');
  for (const command of [['tree'], ['doctor', '--no-probe']]) {
    const { status, out, err } = cli(
      [...command, '--root', site.root, '--mm-dir', commands, '--mm-runner', 'direct'],
      { GPFS_CSI_OWNER: 'another-cluster' },
    );
    expect(await status).toBe(1);
    expect(out() + err()).toContain('belongs to owner "", not to "another-cluster"');
    expect(out() + err()).not.toContain('modes');
  }
});
