import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { command, startCommand } from '../../support/disk/command.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
// It makes the root what it is.
await site.serve();
const disk = Buffer.concat([randomBytes(2 ** 20), Buffer.alloc(2 ** 20), randomBytes(4096)]);

const argv = (name: string, ...more: readonly string[]): readonly string[] => [
  'image',
  'import',
  '-',
  '--format',
  'raw',
  '--name',
  name,
  ...more,
];

describe('an image from standard input', () => {
  test('is what came', async () => {
    const before = filesOnDisk(site.root);
    const ended = await command(site, argv('piped', '--size', `${disk.length}`), disk);
    expect(ended).toMatchObject({ code: 0 });
    const made = filesOnDisk(site.root).filter((path) => !before.includes(path));
    expect(made.length).toBe(1);
    expect((await readFile(made[0] ?? '')).equals(disk)).toBe(true);
  });

  // What a broken connection of kubectl exec leaves of a disk, too.
  test.each([
    ['shorter', 1, /standard input ended after \d+ of \d+ bytes; nothing was kept/],
    ['longer', -1, /standard input is longer than the \d+ bytes of --size; nothing was kept/],
  ] as const)('that is %s than it says is none', async (_, more, words) => {
    const before = filesOnDisk(site.root);
    const ended = await command(site, argv('other', '--size', `${disk.length + more}`), disk);
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(words);
    expect(filesOnDisk(site.root)).toEqual(before);
    expect((await command(site, ['image', 'show', 'other'])).err).toMatch(/has no image other/);
  });

  test('is none after Ctrl-C in the middle', async () => {
    const before = filesOnDisk(site.root);
    const { child, ended } = startCommand(site, argv('cut', '--size', '1000000000'));
    child.stdin?.on('error', () => undefined);
    child.stdin?.write(disk);
    await expect
      .poll(() => filesOnDisk(site.root).length, { timeout: 20_000 })
      .toBe(before.length + 1);
    child.kill('SIGINT');
    expect((await ended).code).not.toBe(0);
    expect(filesOnDisk(site.root)).toEqual(before);
    expect(site.problems()).toEqual([]);
  });

  test.each([
    [argv('x'), /- needs --size/],
    [argv('x', '--size', '1e3'), /- needs --size/],
    [
      ['image', 'import', '/disk', '--name', 'x', '--format', 'raw', '--size', '1'],
      /--size is for standard input/,
    ],
  ] as const)('%j is wrong usage', async (words, why) => {
    const ended = await command(site, words);
    expect(ended.code).toBe(2);
    expect(ended.err).toMatch(why);
  });
});
