import { execFileSync } from 'node:child_process';
import {
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostFiles } from '../../../src/run/host-files.ts';

const files = hostFiles();
let directory = '';
const at = (name: string): string => join(directory, name);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gpfs-csi-files-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

describe('texts', () => {
  test('are written once, with exactly their mode', async () => {
    await files.createDurable(at('a'), 'first é', 0o666);
    await expect(files.createDurable(at('a'), 'second', 0o600)).rejects.toMatchObject({
      code: 'EEXIST',
    });
    expect(await files.read(at('a'))).toBe('first é');
    expect(await files.stat(at('a'))).toMatchObject({ kind: 'file', size: 8n, mode: 0o666 });
  });

  test('of any size up to a bound are read whole, also many at once', async () => {
    const sizes = [0, 1, 16383, 16384, 16385, 1024 * 1024];
    for (const size of sizes) await writeFile(at(String(size)), 'x'.repeat(size));
    const texts = await Promise.all(sizes.map((size) => files.read(at(String(size)))));
    expect(texts.map((text) => text.length)).toEqual(sizes);
    await writeFile(at('large'), 'x'.repeat(1024 * 1024 + 1));
    await expect(files.read(at('large'))).rejects.toMatchObject({ code: 'EFBIG' });
  });

  test('read at once do not mix', async () => {
    const names = Array.from({ length: 40 }, (_, n) => `t${n}`);
    await Promise.all(names.map((name) => writeFile(at(name), name.repeat(500))));
    const texts = await Promise.all(names.map((name) => files.read(at(name))));
    expect(texts).toEqual(names.map((name) => name.repeat(500)));
  });

  test('that are not there, or directories, or fifos, are distinguished', async () => {
    await expect(files.read(at('none'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(files.read(directory)).rejects.toMatchObject({ code: 'EISDIR' });
    execFileSync('mkfifo', [at('fifo')]);
    await expect(files.read(at('fifo'))).rejects.toMatchObject({ code: 'ESPIPE' });
    expect(await files.stat(at('fifo'))).toMatchObject({ kind: 'other' });
  });
});

describe('image files', () => {
  test('are sparse, exclusive, and exactly as large as asked for', async () => {
    const made = await files.createSparse(at('i'), 1n << 40n, 0o660);
    expect(made).toMatchObject({ size: 1n << 40n, links: 1, mode: 0o660 });
    expect(await files.stat(at('i'))).toEqual(made);
    await expect(files.createSparse(at('i'), 1n, 0o660)).rejects.toMatchObject({ code: 'EEXIST' });
  });

  test('that cannot have their size leave no name behind', async () => {
    for (const size of [1n << 60n, BigInt(Number.MAX_SAFE_INTEGER)]) {
      await expect(files.createSparse(at('i'), size, 0o660)).rejects.toMatchObject({
        code: 'EFBIG',
      });
    }
    expect(await readdir(directory)).toEqual([]);
  });

  test('grow and never shrink', async () => {
    await files.createSparse(at('i'), 4096n, 0o660);
    expect((await files.grow(at('i'), 8192n)).size).toBe(8192n);
    expect((await files.grow(at('i'), 4096n)).size).toBe(8192n);
    await expect(files.grow(at('none'), 1n)).rejects.toMatchObject({ code: 'ENOENT' });
    await truncate(at('i'), 5000);
    expect(await files.grow(at('i'), 1n << 53n).catch((error: unknown) => error)).toMatchObject({
      code: 'EFBIG',
    });
    expect((await files.stat(at('i'))).size).toBe(5000n);
  });
});

describe('names', () => {
  test('are linked, moved, removed and listed in order', async () => {
    for (const name of ['b', 'B', 'a', 'é', '10', '9']) await writeFile(at(name), name);
    await files.link(at('a'), at('z'));
    await expect(files.link(at('a'), at('z'))).rejects.toMatchObject({ code: 'EEXIST' });
    expect((await files.stat(at('z'))).links).toBe(2);
    await files.rename(at('z'), at('y'));
    await files.unlink(at('b'));
    expect(await files.list(directory)).toEqual(['10', '9', 'B', 'a', 'y', 'é']);
    await expect(files.unlink(at('b'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('that are no UTF-8 do not break a list', async () => {
    const odd = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x61, 0xff])]);
    await writeFile(odd, '');
    expect(await files.list(directory)).toEqual(['a\ufffd']);
    await rm(odd);
  });
});

describe('directories', () => {
  test('are made once, and again without harm', async () => {
    await files.makeDirectory(at('d'), 0o777);
    expect(await files.stat(at('d'))).toMatchObject({ kind: 'directory', mode: 0o777 });
    await files.makeDirectory(at('d'), 0o700);
    expect(await files.stat(at('d'))).toMatchObject({ mode: 0o777 });
    await files.syncDirectory(at('d'));
    await writeFile(at('file'), '');
    await expect(files.makeDirectory(at('file'), 0o700)).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(files.makeDirectory(at('no/d'), 0o700)).rejects.toMatchObject({ code: 'ENOENT' });
    await files.removeDirectory(at('d'));
    expect(await files.list(directory)).toEqual(['file']);
  });

  test('tell the space of their file system', async () => {
    const { total, used, available, inodes, inodesFree } = await files.space(directory);
    expect(total).toBeGreaterThan(0n);
    expect(used + available).toBeLessThanOrEqual(total);
    expect(inodesFree).toBeLessThanOrEqual(inodes);
  });
});

test('modes and times change', async () => {
  await writeFile(at('a'), '');
  await files.chmod(at('a'), 0o640);
  execFileSync('touch', ['-d', '2001-01-01', at('a')]);
  const before = await files.stat(at('a'));
  await files.touch(at('a'));
  const after = await files.stat(at('a'));
  expect(after.mode).toBe(0o640);
  expect(after.modifiedMs).toBeGreaterThan(before.modifiedMs);
  expect(after.inode).toBe(before.inode);
});

test('several files of a directory are seen by one descriptor of it; what is missing is undefined', async () => {
  await mkdir(at('in'));
  await writeFile(at('in/a'), 'text');
  await symlink(at('in/a'), at('in/link'));
  const names = ['a', 'link', 'missing', 'missing/b', 'a/below a file'];
  const seen = await files.statsIn(at('in'), names);
  const none = names.slice(2).map(() => undefined);
  expect(seen.map((each) => each?.kind)).toEqual(['file', 'symlink', ...none]);
  expect(seen[0]).toEqual(await files.stat(at('in/a')));
  await expect(files.statsIn(at('nowhere'), ['a'])).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(files.statsIn(at('in/a'), ['a'])).rejects.toMatchObject({ code: 'ENOTDIR' });
});

test('a symlink in the way is never followed', async () => {
  await writeFile(at('target'), 'safe');
  await symlink(at('target'), at('link'));
  await symlink(directory, at('dirlink'));
  const refused = [
    files.read(at('link')),
    files.chmod(at('link'), 0o777),
    files.grow(at('link'), 4096n),
    files.createDurable(at('link'), 'x', 0o600),
    files.createSparse(at('link'), 1n, 0o600),
    files.makeDirectory(at('dirlink'), 0o700),
    files.syncDirectory(at('dirlink')),
    files.space(at('dirlink')),
  ];
  const codes = await Promise.all(
    refused.map((attempt) =>
      attempt.then(
        () => 'followed',
        (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
      ),
    ),
  );
  expect(codes).toEqual([
    'ELOOP',
    'ELOOP',
    'ELOOP',
    'EEXIST',
    'EEXIST',
    'EEXIST',
    'ENOTDIR',
    'ELOOP',
  ]);
  await files.touch(at('link'));
  expect(await files.stat(at('link'))).toMatchObject({ kind: 'symlink' });
  expect(await readFile(at('target'), 'utf8')).toBe('safe');
});
