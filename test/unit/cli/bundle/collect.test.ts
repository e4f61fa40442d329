import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { boundedArchive } from '../../../../src/cli/bundle/archive.ts';
import { collect, type BundlePart } from '../../../../src/cli/bundle/collect.ts';
import { renamer } from '../../../../src/cli/bundle/renamer.ts';
import { kernelLines } from '../../../../src/cli/bundle/system.ts';
import { scrubber } from '../../../../src/observe/scrub.ts';

/** What GNU tar reads in an archive. */
const list = (archive: Buffer): string =>
  execFileSync('tar', ['-tvzf', '-'], { input: archive, encoding: 'utf8' });
const fileOf = (archive: Buffer, name: string): string =>
  execFileSync('tar', ['-xOzf', '-', name], {
    input: archive,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 ** 2,
  });

const part = (name: string, read: () => Promise<string | object>, most = 1000): BundlePart => ({
  name,
  what: 'something',
  most,
  keep: 'end',
  read,
});
const on = {
  scrub: scrubber([]),
  rename: undefined,
  limitMs: 50,
  nowMs: 1_700_000_000_000,
  title: ['a bundle'],
};

describe('an archive', () => {
  test('is read by tar, with files that only their owner may read', () => {
    const archive = boundedArchive(1_000_000, on.nowMs);
    expect(archive.add('a.txt', 'one')).toBe(true);
    expect(archive.add('folder/b.txt', 'x'.repeat(512))).toBe(true);
    const made = archive.end();
    expect(list(made)).toMatch(
      /^-rw------- 0\/0 +3 .*a\.txt\n-rw------- 0\/0 +512 .*folder\/b\.txt\n$/,
    );
    expect(fileOf(made, 'a.txt')).toBe('one');
  });

  test('takes nothing that does not fit, and no name that leads out of it', () => {
    const archive = boundedArchive(2000, on.nowMs);
    expect(archive.add('big', randomBytes(4000))).toBe(false);
    expect(archive.end().length).toBeLessThan(2000);
    for (const name of ['../a', '/etc/passwd', 'a/../b', 'a\nb', 'x'.repeat(101)])
      expect(() => archive.add(name, '')).toThrow('cannot be the name');
  });
});

describe('a collection', () => {
  test('says what it has, what it cut, and what it could not have', async () => {
    const made = await collect(
      [
        part('good.txt', () => Promise.resolve('all of it\n')),
        part('long.txt', () => Promise.resolve(`first\n${'line\n'.repeat(1000)}last\n`)),
        part('bad.txt', () => Promise.reject(new Error('it hangs: password=hunter2'))),
        part('slow.txt', () => new Promise(() => undefined)),
      ],
      on,
    );
    const says = fileOf(made, 'MANIFEST.txt');
    expect(says).toMatch(/^ {2}good\.txt {2}something$/m);
    expect(says).toMatch(
      /^ {2}long\.txt {2}something \(cut: \d+ characters more; the end is here\)$/m,
    );
    expect(says).toContain('bad.txt  something: it hangs: password=[redacted]');
    expect(says).toContain('slow.txt  something: no answer within 0.05 s');
    const long = fileOf(made, 'long.txt');
    expect(long.length).toBeLessThanOrEqual(1000);
    expect(long).toMatch(/^line\n[^]*last\n$/);
  });

  test('stays under its limit whatever the parts are', async () => {
    const big = () =>
      Promise.resolve(
        randomBytes(3 * 1024 ** 2)
          .toString('base64')
          .replace(/.{76}/g, '$&\n'),
      );
    const parts = ['a', 'b', 'c'].map((name) => part(name, big, 8 * 1024 ** 2));
    const made = await collect(parts, { ...on, limitMs: 60_000, mostBytes: 4 * 1024 ** 2 });
    expect(made.length).toBeLessThan(4 * 1024 ** 2);
    expect(fileOf(made, 'MANIFEST.txt')).toContain('(cut: ');
  });

  test('replaces each name by one text everywhere, and leaves the structure', async () => {
    const rename = renamer('salt');
    rename.learn('volume', 'pvc-1');
    rename.learn('node', 'worker');
    rename.learn('claim', 'odd name/with slash');
    const record = {
      id: 'pvc-1',
      state: 'worker',
      image: { key: 'pvc-1.3-abc' },
      says: 'volume 0a1b.pvc-1 of odd name/with slash on worker',
    };
    const made = await collect(
      [
        part('record.json', () => Promise.resolve(record)),
        part('log.txt', () => Promise.resolve('worker-2 pvc-10 pvc-1_x gpfs_worker.sock\n')),
      ],
      { ...on, rename },
    );
    const read = JSON.parse(fileOf(made, 'record.json')) as typeof record;
    const { id } = read;
    expect(id).toMatch(/^volume-[0-9a-f]{10}$/);
    expect(read).toMatchObject({ state: 'worker', image: { key: `${id}.3-abc` } });
    expect(read.says).toMatch(
      new RegExp(`^volume 0a1b\\.${id} of claim-[0-9a-f]{10} on node-[0-9a-f]{10}$`),
    );
    expect(fileOf(made, 'log.txt')).toMatch(
      new RegExp(`^node-\\w{10}-2 pvc-10 ${id}_x gpfs_node-\\w{10}\\.sock\n$`),
    );
    expect(renamer('other').text('pvc-655bd0a5-1111-2222-3333-444455556666')).toMatch(/^object-/);
  });
});

test('of the kernel, only lines about loop devices and file systems are kept', async () => {
  const said = [
    '[1.0] usb 1-1: new device, serial 12345',
    '[2.0] loop3: detected capacity change',
    '[3.0] audit: user password=hunter2',
    '[4.0] XFS (loop3): Mounting V5 Filesystem, password=hunter2',
  ].join('\n');
  const lines = await kernelLines(() => Promise.resolve(said));
  expect(lines).not.toMatch(/usb|audit/);
  expect(scrubber([]).text(lines)).toBe(
    '[2.0] loop3: detected capacity change\n[4.0] XFS (loop3): Mounting V5 Filesystem, password=[redacted]\n',
  );
});
