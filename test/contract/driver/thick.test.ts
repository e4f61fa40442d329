import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { fallocate } from '../../../src/linux/fallocate.ts';
import { hostRun } from '../../../src/run/host-run.ts';
import { asMount, mib, newVolume, remove, use, volumeRequest } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite({ size: 700n * MiB });
const server = await site.serve();

const thick = { parameters: { provisioning: 'thick' } };
const allocated = async (path: string): Promise<number> => (await stat(path)).blocks * 512;

test('a thick volume has its blocks on disk when it is made, a thin one none', async () => {
  const thin = await newVolume(server, 'thin');
  const made = await server.ok('CreateVolume', { ...volumeRequest('thick'), ...thick });
  const files = filesOnDisk(site.root);
  const of = (name: string) => files.find((path) => path.includes(`/${name}.`)) ?? '';
  expect(await allocated(of('thin'))).toBe(0);
  expect(await allocated(of('thick'))).toBeGreaterThanOrEqual(64 * 2 ** 20);
  await remove(server, { volumes: [thin, made.volume?.volume_id ?? ''] });
});

test.each(['ext4', 'xfs', 'btrfs'])(
  'neither mkfs, mount nor deleting files makes it sparse: %s',
  async (fsType) => {
    const wanted = { capability: asMount(fsType), mib: 310 };
    const request = { ...volumeRequest(fsType, wanted), ...thick };
    const id = (await server.ok('CreateVolume', request)).volume?.volume_id ?? '';
    const file = filesOnDisk(site.root).find((path) => path.includes(`/${fsType}.`)) ?? '';
    const used = await use(site, server, id, asMount(fsType));
    await writeFile(join(used.target, 'large'), Buffer.alloc(8 * 2 ** 20, 'x'));
    await rm(join(used.target, 'large'));
    await used.release();
    expect(await allocated(file)).toBeGreaterThanOrEqual(310 * 2 ** 20);
    await remove(server, { volumes: [id] });
  },
);

test('one that does not fit is RESOURCE_EXHAUSTED, says so, and leaves nothing', async () => {
  const request = { ...volumeRequest('large'), ...thick, capacity_range: mib(2048) };
  expect(await server.refused('CreateVolume', request)).toMatch(
    /^RESOURCE_EXHAUSTED .*no room for all blocks of a thick volume/,
  );
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.problems()).toEqual([]);
});

test('a thick volume that grows has the blocks of what is added; one that cannot stays as it is', async () => {
  const made = await server.ok('CreateVolume', { ...volumeRequest('grows'), ...thick });
  const volume_id = made.volume?.volume_id ?? '';
  const file = filesOnDisk(site.root).find((path) => path.includes('/grows.')) ?? '';
  await server.ok('ControllerExpandVolume', { volume_id, capacity_range: mib(128) });
  expect(await allocated(file)).toBeGreaterThanOrEqual(128 * 2 ** 20);
  const more = { volume_id, capacity_range: mib(2048) };
  expect(await server.refused('ControllerExpandVolume', more)).toMatch(
    /^RESOURCE_EXHAUSTED .*no room for all blocks/,
  );
  expect((await stat(file)).size).toBe(128 * 2 ** 20);
  expect(await allocated(file)).toBeLessThan(130 * 2 ** 20);
  await remove(server, { volumes: [volume_id] });
});

test('a file system that cannot allocate is distinguished from one that is full', async () => {
  const run = hostRun({ mmDirectory: '/nonexistent' });
  const range = { offset: 0n, length: MiB };
  expect(await fallocate(run)('/proc/version', range)).toBe(false);
  await expect(fallocate(run)(site.mount, range)).rejects.toThrow(/fallocate failed/);
  const without = hostRun({ mmDirectory: '/nonexistent', searchPath: ['/nonexistent'] });
  expect(await fallocate(without)(`${site.mount}/none`, range)).toBe(false);
});
