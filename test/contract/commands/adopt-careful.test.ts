import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { link, mkdir, open, readFile, readdir, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { MiB } from '../../../src/model/bytes.ts';
import { persistentVolume } from '../../../src/service/adopt/adopt.ts';
import { command } from '../../support/disk/command.ts';
import { remove } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';

// What adopting must leave alone, or keep.

const site = await realSite({ size: 700n * MiB });
const server = await site.serve();
const fileset = join(site.root, '..');
const mmclone = (...args: readonly string[]) =>
  execFileSync(join(site.bin, 'mmclone'), [...args], { encoding: 'utf8' });
const disk = async (path: string, text: string): Promise<string> => {
  const data = Buffer.alloc(64 * 1024);
  data.write(text);
  await writeFile(path, data);
  return path;
};
const text = async (path: string) =>
  (await readFile(path)).subarray(0, 8).toString().split('\0')[0];

test('a file that has another name is refused until that is gone', async () => {
  const file = await disk(join(fileset, 'two-names'), 'mine');
  await link(file, join(fileset, 'other-name'));
  const refused = await command(site, ['adopt', file]);
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toMatch(/two-names cannot be adopted: it has 2 names; remove the others/);
  expect(filesOnDisk(site.root)).toEqual([]);
  await unlink(join(fileset, 'other-name'));
  expect(await command(site, ['adopt', file])).toMatchObject({ code: 0, err: '' });
  await remove(server, { volumes: await ids() });
});

test('a file that a process or a loop device has open is refused', async () => {
  const file = await disk(join(fileset, 'open'), 'mine');
  const handle = await open(file, 'r+');
  const user = spawn('sleep', ['600'], { stdio: [handle.fd, 'ignore', 'ignore'] });
  // From here on only that process has it open.
  await handle.close();
  const byProcess = await command(site, ['adopt', file]);
  user.kill();
  await once(user, 'close');
  const words = `open cannot be adopted: it is open in process \\d+; end that first`;
  expect(byProcess.err).toMatch(new RegExp(words));
  const loop = execFileSync('losetup', ['-f', '--show', file], { encoding: 'utf8' }).trim();
  const byDevice = await command(site, ['adopt', file]);
  execFileSync('losetup', ['-d', loop]);
  expect(byDevice.err).toMatch(`it is open in ${loop}; end that first`);
  expect([byProcess.code, byDevice.code]).toEqual([1, 1]);
  expect(filesOnDisk(site.root)).toEqual([]);
});

test('of a directory nothing is taken while one file of it cannot be', async () => {
  const [directory, names] = await cinder('busy');
  await link(join(directory, names.volume), join(fileset, 'second'));
  const before = await readdir(directory);
  expect((await command(site, ['adopt', directory])).err).toMatch(/has 2 names/);
  expect(await readdir(directory)).toEqual(before);
  expect(filesOnDisk(site.root)).toEqual([]);
});

test('an image that volumes read through stays an image, and outlives them', async () => {
  const [directory, { volume, snapshot, image }] = await cinder('images');
  const ended = await command(site, ['adopt', directory]);
  expect(ended.err).toMatch(`image ${image}, which volumes read through`);
  expect(ended.code).toBe(0);
  expect(await readdir(directory)).toEqual([]);
  expect((await command(site, ['image', 'list'])).out).toMatch(image);
  await remove(server, { volumes: await ids(), snapshots: [await handle(snapshot)] });
  const [left, ...more] = filesOnDisk(site.root);
  expect(more).toEqual([]);
  expect(await text(left ?? '')).toBe('golden');
  // The names are free again, and what comes in under them is known as before.
  const [again] = await cinder('again', { volume, snapshot, image: `${image}-2` });
  expect(await command(site, ['adopt', again])).toMatchObject({ code: 0 });
  expect(site.problems()).toEqual([]);
  await remove(server, { volumes: await ids(), snapshots: [await handle(snapshot)] });
  for (const name of [image, `${image}-2`]) await command(site, ['image', 'remove', name]);
  await expect.poll(() => filesOnDisk(site.root)).toEqual([]);
});

test('a snapshot of a name that is taken is refused before anything changes', async () => {
  const [first, names] = await cinder('first');
  expect(await command(site, ['adopt', first])).toMatchObject({ code: 0 });
  const before = filesOnDisk(site.root);
  const volume = `volume-${randomUUID()}`;
  const [second] = await cinder('second-one', { ...names, volume, image: 'another' });
  const there = await readdir(second);
  expect((await command(site, ['adopt', second])).err).toMatch(/there is a snapshot .* already/);
  expect(await readdir(second)).toEqual(there);
  expect(filesOnDisk(site.root)).toEqual(before);
  expect(site.problems()).toEqual([]);
});

test('a PersistentVolume is text where YAML would read a number', () => {
  const volume = { id: '12345678.1', bytes: 4096n, name: '1' };
  expect(parse(persistentVolume(volume, 'gpfs-clone.csi'))).toMatchObject({
    metadata: { name: '1' },
    spec: { csi: { volumeHandle: '12345678.1' } },
  });
});

interface Names {
  readonly volume: string;
  readonly snapshot: string;
  readonly image: string;
}

/** A directory as Cinder keeps it: a volume cloned from an image, and a snapshot of it. */
async function cinder(name: string, names: Partial<Names> = {}): Promise<readonly [string, Names]> {
  const directory = join(fileset, name);
  await mkdir(directory);
  const all = {
    volume: `volume-${randomUUID()}`,
    snapshot: `snapshot-${randomUUID()}`,
    image: `image-of-${name}`,
    ...names,
  };
  const at = (file: string) => join(directory, file);
  await disk(at(all.image), 'golden');
  mmclone('snap', at(all.image));
  mmclone('copy', at(all.image), at(all.volume));
  mmclone('snap', at(all.volume), at(all.snapshot));
  return [directory, all];
}

async function ids(): Promise<readonly string[]> {
  const { entries } = await server.ok('ListVolumes', {});
  return entries.map(({ volume }) => volume?.volume_id ?? '');
}

async function handle(name: string): Promise<string> {
  const { entries } = await server.ok('ListSnapshots', {});
  const all = entries.map(({ snapshot }) => snapshot?.snapshot_id ?? '');
  return all.find((id) => id.endsWith(`.${name}`)) ?? '';
}
