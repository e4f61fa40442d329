import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { command } from '../../support/disk/command.ts';
import { fromSnapshot, mib, newVolume, remove, volumeRequest } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite({ size: 1024n * MiB });
const server = await site.serve();
const outside = join(site.directory, 'outside');
await mkdir(outside);

const disk = Buffer.concat([randomBytes(2 ** 20), Buffer.alloc(6 * 2 ** 20), randomBytes(2 ** 20)]);
const raw = join(outside, 'disk.raw');
await writeFile(raw, disk);
const qemu = (...args: readonly string[]) => execFileSync('qemu-img', [...args], { cwd: outside });
qemu('convert', '-f', 'raw', '-O', 'qcow2', raw, 'disk.qcow2');

const bringIn = (file: string, name: string, ...more: readonly string[]) =>
  command(site, ['image', 'import', file, '--name', name, ...more]);
const imageFile = (name: string): string => {
  const record = recordsOnDisk(site.root, 'snapshots').find(({ id }) => id === `image-${name}`);
  return filesOnDisk(site.root).find((path) => path.endsWith(String(record?.file?.key))) ?? '';
};
const made = async (name: string, image: string, more: object = {}): Promise<string> => {
  const request = { ...volumeRequest(name), parameters: { image }, ...more };
  return (await server.ok('CreateVolume', request)).volume?.volume_id ?? '';
};
const volumeFile = (name: string): string =>
  filesOnDisk(site.root).find((path) => path.includes(`/${name}.`)) ?? '';
const start = async (path: string): Promise<Buffer> =>
  (await readFile(path)).subarray(0, disk.length);

describe('an image', () => {
  test('raw, copied in: holes stay, volumes are clones of it, larger ones grown', async () => {
    expect(await bringIn(raw, 'one', '--format', 'raw')).toMatchObject({ code: 0, err: '' });
    expect((await readFile(imageFile('one'))).equals(disk)).toBe(true);
    expect((await stat(imageFile('one'))).blocks * 512).toBeLessThan(4 * 2 ** 20);
    const id = await made('v1', 'one');
    expect((await start(volumeFile('v1'))).equals(disk)).toBe(true);
    expect((await stat(volumeFile('v1'))).size).toBe(64 * 2 ** 20);
    expect(site.problems()).toEqual([]);
    await remove(server, { volumes: [id] });
  });

  test('qcow2 is converted once, when it comes in', async () => {
    const file = join(outside, 'disk.qcow2');
    expect(await bringIn(file, 'two', '--format', 'qcow2')).toMatchObject({ code: 0, err: '' });
    expect((await readFile(imageFile('two'))).equals(disk)).toBe(true);
    const ids = [await made('v2a', 'two'), await made('v2b', 'two')];
    expect((await start(volumeFile('v2b'))).equals(disk)).toBe(true);
    await remove(server, { volumes: ids });
  });

  test.each(['--share', '--move'])('%s copies nothing', async (how) => {
    const file = join(site.root, '..', `on-gpfs${how}`);
    await writeFile(file, disk);
    const name = how.slice(2);
    expect(await bringIn(file, name, '--format', 'raw', how)).toMatchObject({ code: 0, err: '' });
    expect((await readFile(imageFile(name))).equals(disk)).toBe(true);
    if (how === '--move') await expect(stat(file)).rejects.toThrow('ENOENT');
    else {
      await writeFile(file, 'changed', { flag: 'r+' });
      expect((await readFile(imageFile(name))).equals(disk)).toBe(true);
      execFileSync(join(site.bin, 'mmclone'), ['split', file]);
    }
  });

  test('of another fileset can only be copied', async () => {
    const file = join(site.mount, 'elsewhere');
    await writeFile(file, disk);
    const ended = await bringIn(file, 'other', '--format', 'raw', '--share');
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(/is in fileset root, and root .* in csi-data; import it as a copy/);
  });

  test('is listed and shown, and its name is taken', async () => {
    const { out } = await command(site, ['image', 'list', '--json']);
    const list = JSON.parse(out) as readonly { readonly name: string; readonly bytes: number }[];
    expect(list.map(({ name }) => name)).toEqual(['move', 'one', 'share', 'two']);
    expect(list.every(({ bytes }) => bytes === disk.length)).toBe(true);
    expect((await command(site, ['image', 'show', 'one'])).out).toMatch(/format: raw/);
    expect((await bringIn(raw, 'one', '--format', 'raw')).err).toMatch(/has an image one already/);
  });

  test('is a snapshot to Kubernetes, which any claim can be made from', async () => {
    const { out } = await command(site, ['image', 'show', 'one', '--json']);
    const { snapshotHandle } = JSON.parse(out) as { readonly snapshotHandle: string };
    const listed = await server.ok('ListSnapshots', { snapshot_id: snapshotHandle });
    expect(listed.entries).toHaveLength(1);
    const id = await newVolume(server, 'v3', { from: fromSnapshot(snapshotHandle) });
    expect((await start(volumeFile('v3'))).equals(disk)).toBe(true);
    await remove(server, { volumes: [id] });
  });

  test('is copied where the class says so, and can go while volumes read through it', async () => {
    const copied = await made('v4', 'one', {
      parameters: { image: 'one', imageShareMode: 'copy' },
    });
    const cloned = await made('v5', 'one');
    expect(await command(site, ['image', 'remove', 'one'])).toMatchObject({ code: 0, err: '' });
    for (const name of ['v4', 'v5'])
      expect((await start(volumeFile(name))).equals(disk)).toBe(true);
    expect(
      await server.refused('CreateVolume', {
        ...volumeRequest('v6'),
        parameters: { image: 'one' },
      }),
    ).toMatch(/^INVALID_ARGUMENT parameters key "image" names "one", .*there are move, share, two/);
    await remove(server, { volumes: [copied, cloned] });
    expect(site.problems()).toEqual([]);
  });

  test('larger than the volume is refused', async () => {
    const request = {
      ...volumeRequest('small'),
      parameters: { image: 'two' },
      capacity_range: mib(4),
    };
    expect(await server.refused('CreateVolume', request)).toMatch(
      /^OUT_OF_RANGE .*less than the 8 MiB/,
    );
  });
});

describe('what is no image is refused, and leaves nothing', () => {
  const patched = async (name: string, at: number, bytes: Buffer): Promise<string> => {
    const file = join(outside, name);
    await writeFile(file, await readFile(join(outside, 'disk.qcow2')));
    await using handle = await open(file, 'r+');
    await handle.write(bytes, 0, bytes.length, at);
    return file;
  };
  const u32 = (value: number): Buffer => {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32BE(value);
    return buffer;
  };

  const cases: Readonly<Record<string, () => Promise<string>>> = {
    'a backing file': () => {
      qemu('create', '-q', '-f', 'qcow2', '-b', '/etc/hostname', '-F', 'raw', 'backed.qcow2', '1M');
      return Promise.resolve(join(outside, 'backed.qcow2'));
    },
    'a data file': () => {
      qemu(
        'create',
        '-q',
        '-f',
        'qcow2',
        '-o',
        'data_file=/tmp/none-of-it,data_file_raw=off',
        'x.qcow2',
        '1M',
      );
      execFileSync('rm', ['-f', '/tmp/none-of-it']);
      return Promise.resolve(join(outside, 'x.qcow2'));
    },
    '65,535 snapshots': () => patched('snapshots.qcow2', 60, u32(65_535)),
    'a huge disk': () => patched('huge.qcow2', 24, u32(0x7fffffff)),
    encryption: () => patched('crypt.qcow2', 32, u32(1)),
    'tables beyond its end': () => patched('tables.qcow2', 40, Buffer.alloc(8, 0xff)),
    'a raw disk': () => Promise.resolve(raw),
    nothing: async () => {
      await writeFile(join(outside, 'empty'), '');
      return join(outside, 'empty');
    },
    'a directory': () => Promise.resolve(outside),
    'a file that is not there': () => Promise.resolve(join(outside, 'none')),
  };

  test.each(Object.keys(cases))('%s as qcow2', async (name) => {
    const before = filesOnDisk(site.root);
    const file = (await cases[name]?.()) ?? '';
    const ended = await bringIn(file, 'bad', '--format', 'qcow2');
    expect(ended).toMatchObject({ code: 1, out: '' });
    expect(ended.err).not.toBe('');
    expect(filesOnDisk(site.root)).toEqual(before);
    expect(site.problems()).toEqual([]);
  });

  test('a guest that writes a qcow2 header into a raw disk does not change what it is', async () => {
    const file = join(outside, 'guest.raw');
    const header = await readFile(join(outside, 'disk.qcow2'));
    await writeFile(file, header);
    await truncate(file, 2 ** 20);
    expect(await bringIn(file, 'guest', '--format', 'raw')).toMatchObject({ code: 0 });
    expect((await stat(imageFile('guest'))).size).toBe(2 ** 20);
    expect(
      (await readFile(imageFile('guest'))).subarray(0, 4096).equals(header.subarray(0, 4096)),
    ).toBe(true);
  });

  test.each([
    [['image'], /takes one of import, list, show, remove/],
    [['image', 'import', raw], /--name must be.*\n.*--format must be raw or qcow2/],
    [['image', 'import', 'relative', '--name', 'x', '--format', 'raw'], /no absolute path/],
    [['image', 'import', raw, '--name', 'x', '--format', 'raw', '--move', '--share'], /exclude/],
    [['image', 'import', '-', '--name', 'x', '--format', 'qcow2'], /standard input must be raw/],
  ] as const)('%j is wrong usage', async (argv, words) => {
    const ended = await command(site, argv);
    expect(ended.code).toBe(2);
    expect(ended.err).toMatch(words);
  });
});
