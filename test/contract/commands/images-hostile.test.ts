import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { command, startCommand } from '../../support/disk/command.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

// Images that are to do harm, or that come to harm on their way in.

const site = await realSite({ size: 1024n * MiB });
await (await site.serve()).end();
const outside = join(site.directory, 'outside');
await mkdir(outside);
const at = (name: string) => join(outside, name);

const disk = Buffer.concat([randomBytes(2 ** 20), Buffer.alloc(6 * 2 ** 20), randomBytes(2 ** 20)]);
await writeFile(at('disk.raw'), disk);
const qemu = (program: string, ...args: readonly string[]) =>
  execFileSync(program, [...args], { cwd: outside });
qemu('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'disk.raw', 'disk.qcow2');
const digest = createHash('sha256').update(disk).digest('hex');

const importing = (file: string, name: string, format: string, ...more: readonly string[]) => [
  'image',
  'import',
  file,
  '--name',
  name,
  '--format',
  format,
  ...more,
];
const bringIn = (...args: Parameters<typeof importing>) => command(site, importing(...args));
const imageFile = (name: string): string => {
  const record = recordsOnDisk(site.root, 'snapshots').find(({ id }) => id === `image-${name}`);
  return filesOnDisk(site.root).find((path) => path.endsWith(String(record?.file?.key))) ?? '';
};

/** A qcow2 image of 3 GiB in a few KiB: every entry of every table leads to one cluster. */
async function bomb(name: string, honest: boolean): Promise<string> {
  const cluster = 65_536;
  const perTable = cluster / 8;
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', name, '3G');
  qemu('qemu-io', '-c', 'write -P 170 0 64k', name);
  await using file = await open(at(name), 'r+');
  const u64 = async (offset: number) => {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, offset);
    return Number(buffer.readBigUInt64BE() & 0x00fffffffffffe00n);
  };
  const all = async (count: number, value: number, offset: number) => {
    const table = Buffer.alloc(8 * count);
    for (let n = 0; n < count; n++) table.writeBigUInt64BE(BigInt(value), 8 * n);
    await file.write(table, 0, table.length, offset);
  };
  const [first, tables] = [await u64(40), (3 * 2 ** 30) / cluster / perTable];
  const second = await u64(first);
  const data = await u64(second);
  await all(perTable, data, second);
  await all(tables, second, first);
  const counts = await u64(await u64(48));
  const count = async (offset: number, value: number) => {
    const cell = Buffer.alloc(2);
    cell.writeUInt16BE(value);
    await file.write(cell, 0, 2, counts + (2 * offset) / cluster);
  };
  if (honest) await count(second, tables);
  if (honest) await count(data, tables * perTable);
  return at(name);
}

test.each([
  ['holds more data than there is room for', true, /holds 3 GiB of data, and root \S+ has .* free/],
  ['has tables that overlap', false, /tables of the image contradict each other/],
] as const)('a qcow2 image of a few KiB that %s is refused at once', async (_, honest, words) => {
  const ended = await bringIn(await bomb(`bomb-${honest}.qcow2`, honest), 'bomb', 'qcow2');
  expect(ended).toMatchObject({ code: 1, out: '' });
  expect(ended.err).toMatch(words);
  expect(filesOnDisk(site.root)).toEqual([]);
});

test('clusters that nothing refers to are no reason to refuse an image', async () => {
  qemu('cp', 'disk.qcow2', 'leaky.qcow2');
  await using file = await open(at('leaky.qcow2'), 'r+');
  const { size } = await file.stat();
  const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 48);
  const { buffer: block } = await file.read(
    Buffer.alloc(8),
    0,
    8,
    Number(buffer.readBigUInt64BE()),
  );
  // One cluster behind the last one, counted as used.
  const cell = Number(block.readBigUInt64BE()) + 2 * Math.ceil(size / 65_536);
  await file.write(Buffer.from([0, 1]), 0, 2, cell);
  await file.truncate((Math.ceil(size / 65_536) + 1) * 65_536);
  expect(await bringIn(at('leaky.qcow2'), 'leaky', 'qcow2')).toMatchObject({ code: 0, err: '' });
  expect(await command(site, ['image', 'remove', 'leaky'])).toMatchObject({ code: 0 });
});

test.each(['raw', 'qcow2'])(
  'a %s image that changes while it is read is refused',
  async (format) => {
    const file = at(`disk.${format}`);
    const { child, ended } = startCommand(site, importing(file, 'moving', format));
    while (child.exitCode === null) await utimes(file, 1, Math.random() * 1e6);
    const { code, err } = await ended;
    expect(err).toMatch(/changed while it was read; import it again/);
    expect(code).toBe(1);
    expect(filesOnDisk(site.root)).toEqual([]);
    expect(site.problems()).toEqual([]);
  },
);

test.each(['raw', 'qcow2'])(
  'a link to a %s image is refused, whatever it leads to',
  async (format) => {
    await symlink(at(`disk.${format}`), at(`link.${format}`));
    const ended = await bringIn(at(`link.${format}`), 'link', format);
    expect(ended.err).toMatch(/is a symlink, not a file/);
    expect(ended.code).toBe(1);
  },
);

test('a raw disk that is larger than any volume is refused', async () => {
  const file = join(site.mount, 'huge.raw');
  await writeFile(file, '');
  await truncate(file, 65 * 2 ** 40);
  expect((await bringIn(file, 'huge', 'raw')).err).toMatch(/is larger than 64 TiB/);
});

test('what comes with a digest must have it', async () => {
  for (const [file, format] of [
    [at('disk.raw'), 'raw'],
    [at('disk.qcow2'), 'qcow2'],
  ] as const) {
    const right = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
    const wrong = await bringIn(file, 'sum', format, '--sha256', 'f'.repeat(64));
    expect(wrong.err).toMatch(/have the SHA-256 [0-9a-f]{64}, not the one given/);
    expect(filesOnDisk(site.root)).toEqual([]);
    expect(await bringIn(file, 'sum', format, '--sha256', right)).toMatchObject({ code: 0 });
    expect((await readFile(imageFile('sum'))).equals(disk)).toBe(true);
    await command(site, ['image', 'remove', 'sum']);
  }
});

test('a stream of the right length must have its digest too', async () => {
  const argv = importing('-', 'cut', 'raw', '--size', String(disk.length), '--sha256', digest);
  const other = await command(site, argv, Buffer.from(disk).fill('x', 0, 1));
  expect(other.err).toMatch(/8388608 bytes that came have the SHA-256 [0-9a-f]{64}, not the one/);
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(await command(site, argv, disk)).toMatchObject({ code: 0 });
  await command(site, ['image', 'remove', 'cut']);
});

test('a converted image is on disk when the command says that it is there', async () => {
  await bringIn(at('disk.qcow2'), 'durable', 'qcow2');
  // Blocks that are still only in memory have no place on the disk yet.
  const extents = execFileSync('filefrag', ['-v', imageFile('durable')], { encoding: 'utf8' });
  expect(extents).toMatch(/\d+ extents? found/);
  expect(extents).not.toMatch(/delalloc/);
  await command(site, ['image', 'remove', 'durable']);
});

test('of two imports of one name at once one is there, and one says why not', async () => {
  const both = await Promise.all([1, 2].map(() => bringIn(at('disk.raw'), 'twice', 'raw')));
  expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
  expect(both.find(({ code }) => code === 1)?.err).toMatch(
    /has an image twice already|image-twice is busy|changed/,
  );
  expect((await readFile(imageFile('twice'))).equals(disk)).toBe(true);
  expect(filesOnDisk(site.root)).toHaveLength(1);
});
