import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { adoptGrammar as adopt } from '../../../src/cli/adopt.ts';
import { exportGrammar as exporting } from '../../../src/cli/export.ts';
import { historyGrammar as history } from '../../../src/cli/history.ts';
import { imageGrammar as image } from '../../../src/cli/image.ts';
import { migrateGrammar as migrate } from '../../../src/cli/migrate.ts';
import { rootFlags } from '../../../src/cli/command/root-flags.ts';
import { command } from '../../support/disk/command.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { cli } from '../../support/disk/real-server.ts';
import { sparesMade } from '../../support/disk/spares.ts';

// The commands people type: each explains itself, and wrong usage changes nothing.

const site = await realSite();
await site.serve();
await sparesMade(site.root);
const outside = join(site.directory, 'outside');
await mkdir(outside);
const file = join(site.root, '..', 'disk.raw');
await writeFile(file, 'x'.repeat(4096));
const to = join(outside, 'out.raw');
const two = `${site.root},${site.root}-2`;
const everything = async () => [
  ...(await readdir(join(site.root, '..'), { recursive: true })).filter(
    // Those who are there: servers, and this command while it runs.
    (path) => !/\.gpfs-csi\/(?:nodes|health)(?:\/|$)/.test(path),
  ),
  ...(await readdir(outside)),
];

describe('--help', () => {
  test.each([adopt, exporting, history, image, migrate])(
    '$command tells every flag it takes',
    async (grammar) => {
      const running = cli([grammar.command, '--help']);
      expect({ status: await running.status, err: running.err() }).toEqual({ status: 0, err: '' });
      expect(running.out()).toMatch(new RegExp(`^usage: gpfs-csi ${grammar.command} `));
      const told = running
        .out()
        .match(/^ {2}--[-a-z0-9]+(?= )/gm)
        ?.map((flag) => flag.trim());
      const taken = Object.keys(rootFlags(grammar)).map((name) => `--${name}`);
      expect([...(told ?? [])].sort()).toEqual(taken.sort());
    },
  );

  test('of gpfs-csi names every one of them, in a line', async () => {
    const running = cli(['--help']);
    expect({ status: await running.status, err: running.err() }).toEqual({ status: 0, err: '' });
    for (const { command: name } of [adopt, exporting, image, migrate])
      expect(running.out()).toMatch(new RegExp(`^ {2}${name} +\\S`, 'm'));
  });
});

test.each([
  [['image', 'list', '--nonsense'], /^gpfs-csi: --nonsense is not a flag of image$/],
  [['image', 'list', '--root', two], /--root names one root, for image/],
  [['image', 'import', '--name', 'x', '--format', 'raw'], /needs a FILE, or - for standard input/],
  [
    ['image', 'import', 'disk.raw', '--name', 'x', '--format', 'raw'],
    /disk\.raw is no absolute path/,
  ],
  [['image', 'import', file, '--name', '../x', '--format', 'raw'], /--name must be letters/],
  [['image', 'show'], /which image\?/],
  [['image', 'remove'], /which image\?/],
  [['image', 'remove', 'x', 'y'], /"y" is not expected here/],
  [
    ['export', 'x', '--format', 'raw', '--to', to, '--nonsense'],
    /--nonsense is not a flag of export/,
  ],
  [['export', '--format', 'raw', '--to', to], /export needs a volume or snapshot: a claim/],
  [['export', 'x', '--format', 'raw', '--to', 'out.raw'], /--to must be an absolute path/],
  [['export', 'x', '--format', 'raw', '--to', to, '--root', two], /one root, for export/],
  [['export', 'x', 'y', '--format', 'raw', '--to', to], /"y" is not expected here/],
  [['adopt', file, '--nonsense'], /--nonsense is not a flag of adopt/],
  [['adopt'], /adopt needs the absolute path of a file/],
  [['adopt', 'disk.raw'], /adopt needs the absolute path of a file/],
  [['adopt', file, '--sector-size', '1000'], /--sector-size must be 512 or 4096, not "1000"/],
  [['adopt', file, '--root', two], /--root names one root, for adopt/],
  [['adopt', file, '--root', 'csi'], /absolute/],
  [['migrate', 'x', '--to', site.root, '--nonsense'], /--nonsense is not a flag of migrate/],
  [['migrate', '--to', site.root], /migrate needs the id of a volume/],
  [['migrate', 'x'], /--to must be one of the roots of --root/],
  [['migrate', 'x', '--to', 'csi'], /--to must be one of the roots of --root/],
  [['migrate', 'x', '--to', `${site.root}-2`], /--to must be one of the roots of --root/],
  [['migrate', 'x', 'y', '--to', site.root], /"y" is not expected here/],
] as const)(
  '%j is wrong usage: 2, one line that names it, nothing changed',
  async (argv, words) => {
    const before = await everything();
    const { code, out, err } = await command(site, argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    const [line = '', ...rest] = err.trimEnd().split('\n');
    expect(line).toMatch(words);
    expect(rest).toEqual([`gpfs-csi ${argv[0]} --help explains how it is used`]);
    expect(await everything()).toEqual(before);
  },
);

test.each([
  [['image', 'show', 'none'], /has no image none/],
  [['image', 'remove', 'none'], /has no image none/],
  [
    ['image', 'import', `${file}.none`, '--name', 'x', '--format', 'raw'],
    /disk\.raw\.none is not there; name it as the driver sees it/,
  ],
  [
    ['image', 'import', '/none/disk', '--name', 'x', '--format', 'raw'],
    /the directory of \/none\/disk is not there; name it as/,
  ],
  [['export', 'none', '--format', 'raw', '--to', to], /no volume or snapshot is called "none"/],
  [['adopt', `${file}.none`], /disk\.raw\.none cannot be adopted: it is not there; name it as/],
  [
    ['migrate', '00000000.none', '--to', site.root],
    /belongs to root 00000000, which is not configured here/,
  ],
  [['migrate', 'none', '--to', site.root], /no volume or snapshot is called "none"/],
] as const)('%j fails: 1, one sentence, nothing changed', async (argv, words) => {
  const before = await everything();
  const { code, out, err } = await command(site, argv);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toMatch(words);
  expect(err.trimEnd().split('\n')).toHaveLength(1);
  expect(await everything()).toEqual(before);
});
