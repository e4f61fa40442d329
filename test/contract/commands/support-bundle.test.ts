import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { volumeRequest } from '../../support/disk/csi.ts';
import { cli } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';

// The command as a person runs it, on a site where secrets lie in every place that it reads.

const planted = 'S3cret-hunter2';
const site = await realSite();
const { root, bin, directory } = site;
const server = await site.serve('a1', { flags: { compaction: 'paused' } });
const names = {
  'csi.storage.k8s.io/pvc/namespace': 'shop',
  'csi.storage.k8s.io/pvc/name': 'orders',
};
await server.ok('CreateVolume', { ...volumeRequest('pvc-data'), parameters: names });

/** A host whose kubelet keeps the log of this pod, with secrets in it. */
const proc = join(directory, 'proc');
const logs = join(proc, 'root/var/log/pods', `gpfs-csi_${hostname()}_1234`, 'driver');
await mkdir(logs, { recursive: true });
await writeFile(
  join(logs, '0.log'),
  [
    `2026-11-28T22:00:00Z stderr F {"level":"info","secrets":{"k":"${planted}"},"message":"staged"}`,
    `2026-11-28T22:00:01Z stderr F mount -o password=${planted} failed for pvc-data`,
    '2026-11-28T22:00:02Z stderr F volume pvc-data of shop/orders is staged',
  ].join('\n'),
);
await plantInRecord();

async function plantInRecord(): Promise<void> {
  const folder = join(root, '.gpfs-csi/records/volumes');
  for (const shard of await readdir(folder))
    for (const name of await readdir(join(folder, shard))) {
      const path = join(folder, shard, name);
      const record = JSON.parse(await readFile(path, 'utf8')) as {
        asked: { parameters: Record<string, string>; capabilities: string[] };
        [key: string]: unknown;
      };
      record.asked.parameters['someKey'] = planted;
      record.asked.capabilities.push(`mount ext4 password=${planted},ro`);
      record['ofAnotherVersion'] = `plain ${planted}`;
      record['context'] = { tenant: planted };
      await writeFile(path, JSON.stringify(record));
    }
}

const places = ['--root', root, '--mm-dir', bin, '--node-id', 'a1'];
const env = {
  GPFS_CSI_MM_RUNNER: 'host',
  GPFS_CSI_PROC_PATH: proc,
  GPFS_CSI_HTTP_PORT: '1',
  SOME_PASSWORD: planted,
};

async function bundle(file: string, ...flags: readonly string[]) {
  const running = cli(['support-bundle', '--file', file, ...places, ...flags], env);
  const status = await running.status;
  return { status, out: running.out(), err: running.err() };
}

const unpacked = (file: string): string =>
  execFileSync('tar', ['-xOzf', file], { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
const one = (file: string, name: string): string =>
  execFileSync('tar', ['-xOzf', file, name], { encoding: 'utf8' });

test('holds what a ticket needs, and no secret', async () => {
  const file = join(directory, 'bundle.tar.gz');
  expect(await bundle(file)).toMatchObject({ status: 0, out: '' });
  const { mode, size } = await stat(file);
  expect(mode & 0o777).toBe(0o600);
  expect(size).toBeLessThan(20 * 1024 ** 2);
  const all = unpacked(file);
  expect(all).not.toContain(planted);
  const list = one(file, 'MANIFEST.txt');
  for (const name of [
    'config.json',
    'doctor.json',
    'tree.json',
    'root-0/records.jsonl',
    'driver.log',
  ])
    expect(list).toContain(`  ${name}  `);
  expect(list).toMatch(/metrics\.txt {2}metrics of the server: .*ECONNREFUSED/);
  expect(one(file, 'driver.log')).toContain('volume pvc-data of shop/orders is staged');
  expect(one(file, 'root-0/records.jsonl')).toContain('"someKey":"[redacted]"');
  // It refuses to write over anything.
  const again = await bundle(file);
  expect(again).toMatchObject({
    status: 1,
    err: expect.stringContaining('is there already') as string,
  });
  await symlink('/nowhere', join(directory, 'link'));
  expect((await bundle(join(directory, 'link'))).err).toContain('is there already');
});

test('replaces names on wish, and still shows what belongs together', async () => {
  const file = join(directory, 'renamed.tar.gz');
  expect(await bundle(file, '--rename')).toMatchObject({ status: 0 });
  const all = unpacked(file);
  expect(all).not.toMatch(/pvc-data|\borders\b|\bshop\b/);
  const [, volume = ''] =
    /"name":"(volume-[0-9a-f]{10})"/.exec(one(file, 'root-0/records.jsonl')) ?? [];
  expect(one(file, 'driver.log')).toContain(`volume ${volume} of namespace-`);
  expect(one(file, 'tree.json')).toContain(volume);
});

test.each([
  [['--rename', '--salt'], /--salt needs a value/],
  [['--salt', 'x'], /--salt is for --rename/],
  [['--log', 'here'], /--log takes an absolute path/],
])('%j is wrong usage', async (flags, sentence) => {
  const { status, err } = await bundle('/nonexistent/x', ...flags);
  expect(status).toBe(2);
  expect(err).toMatch(sentence);
});
