import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import {
  asMount,
  fromSnapshot,
  newSnapshot,
  newVolume,
  remove,
  use,
} from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';

// The bugs of Cinder's GPFS driver that show only with real bytes; the others: test/unit/service/cinder-bugs.test.ts.

const site = await realSite({ size: 1024n * MiB });
const server = await site.serve();
const volumeFile = (name: string): string =>
  filesOnDisk(site.root).find((path) => path.includes(`/${name}.`)) ?? '';
const head = async (path: string): Promise<Buffer> => {
  await using handle = await open(path);
  const buffer = Buffer.alloc(4096);
  await handle.read(buffer, 0, 4096, 0);
  return buffer;
};
const parameters = { provisioning: 'thick', fsType: 'ext4', fsLabel: 'data' };

test('2: a thick volume keeps its file system, and mkfs keeps it thick', async () => {
  const request = {
    name: 'thick',
    volume_capabilities: [asMount('ext4')],
    capacity_range: { required_bytes: String(128n * MiB) },
    parameters,
  };
  const id = (await server.ok('CreateVolume', request)).volume?.volume_id ?? '';
  const used = await use(site, server, id);
  await writeFile(join(used.target, 'kept'), 'kept');
  await used.release();
  const { blocks } = await stat(volumeFile('thick'));
  expect(blocks * 512).toBeGreaterThanOrEqual(128 * 2 ** 20);
  expect(execFileSync('blkid', ['-p', volumeFile('thick')], { encoding: 'utf8' })).toMatch(/ext4/);
  const again = await use(site, server, id);
  expect(await readFile(join(again.target, 'kept'), 'utf8')).toBe('kept');
  await again.release();
  await remove(server, { volumes: [id] });
});

test('3: a restore by a class that names a file system keeps what it restores', async () => {
  const source = await newVolume(server, 'source', { capability: asMount('ext4'), mib: 64 });
  const used = await use(site, server, source);
  await writeFile(join(used.target, 'kept'), 'kept');
  await used.release();
  const cut = await newSnapshot(server, 'cut', source);
  const request = {
    name: 'restored',
    volume_capabilities: [asMount('ext4')],
    volume_content_source: fromSnapshot(cut),
    parameters: { fsType: 'ext4', fsLabel: 'data' },
  };
  const id = (await server.ok('CreateVolume', request)).volume?.volume_id ?? '';
  const restored = await use(site, server, id);
  expect(await readFile(join(restored.target, 'kept'), 'utf8')).toBe('kept');
  await restored.release();
  await remove(server, { volumes: [source, id], snapshots: [cut] });
});

test('4: a guest that writes a qcow2 header does not change how its volume grows', async () => {
  const id = await newVolume(server, 'guest');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(site.directory, 'q'), '1G']);
  const header = await readFile(join(site.directory, 'q'));
  await writeFile(volumeFile('guest'), header, { flag: 'r+' });
  const capacity_range = { required_bytes: String(8n * 1024n * MiB) };
  const grown = await server.ok('ControllerExpandVolume', { volume_id: id, capacity_range });
  expect(grown.capacity_bytes).toBe(String(8n * 1024n * MiB));
  expect((await stat(volumeFile('guest'))).size).toBe(8 * 2 ** 30);
  expect((await head(volumeFile('guest'))).equals(header.subarray(0, 4096))).toBe(true);
  await remove(server, { volumes: [id] });
});
