import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  mkdir,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { command, startCommand } from '../../support/disk/command.ts';
import { newVolume } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk } from '../../support/disk/real-truth.ts';
import { attacker, startSwapper, type Swap } from '../../support/disk/swapper.ts';

// A user of the node owns a directory that an administrator names, and exchanges what lies in it meanwhile.

const site = await realSite({ size: 1024n * MiB });
const server = await site.serve();
const fileset = join(site.root, '..');
const waitForSwap = join(import.meta.dirname, '../../support/disk/wait-for-swap.mjs');
const tries = [1, 2];
for (const way of [site.directory, fileset]) await chmod(way, 0o755);

const secret = randomBytes(2 ** 20);
const precious = Buffer.concat(Array.from({ length: 48 }, () => secret));
const victims = join(fileset, 'victims');
await mkdir(victims, { mode: 0o755 });
const victim = join(victims, 'disk');

/** A directory of the attacker in the fileset, with a subdirectory `now`, where the file is, and one `other`. */
async function directories(name: string): Promise<(path: string) => string> {
  const at = (path: string) => join(fileset, name, path);
  await writeFile(victim, precious, { mode: 0o600 });
  for (const each of ['', 'now', 'other']) {
    await mkdir(at(each));
    await chown(at(each), attacker, attacker);
  }
  return at;
}

const swapped = (at: (path: string) => string): Swap['then'] => [
  [at('now'), at('hidden')],
  [at('other'), at('now')],
];
const swappedBack = (at: (path: string) => string): Swap['then'] => [
  [at('now'), at('other')],
  [at('hidden'), at('now')],
];

const inImages = async (): Promise<readonly Buffer[]> =>
  Promise.all(filesOnDisk(site.root).map((path) => readFile(path)));

test('an import of qcow2 reads no other file', async () => {
  for (const n of tries) {
    const at = await directories(`qcow2-${n}`);
    const qemu = (...args: readonly string[]) => execFileSync('qemu-img', args, { cwd: at('') });
    const data = `data_file=${victim},data_file_raw=on`;
    qemu('create', '-q', '-f', 'qcow2', 'now/disk', '64M');
    execFileSync('qemu-io', ['-c', 'write -P 170 0 64M', 'now/disk'], { cwd: at('') });
    qemu('create', '-q', '-f', 'qcow2', '-o', data, 'other/disk', '48M');
    // Making it has emptied the file that it names.
    await writeFile(victim, precious);
    const swaps = [
      { cue: { ended: 'qemu-img check' }, then: swapped(at) },
      {
        cue: { read: at('now/disk'), formerly: at('other/disk') },
        then: [5, ...swappedBack(at)],
      },
    ];
    await using _ = await startSwapper(swaps);
    const words = ['image', 'import', at('now/disk'), '--name', `q${n}`, '--format', 'qcow2'];
    const { err } = await command(site, [...words, '--trust-directory']);
    // Where a check of another test ends first, the swap comes before the first look at the file.
    expect(err).toMatch(/^$|keeps its data in another file/);
    for (const bytes of await inImages()) expect(bytes.includes(secret)).toBe(false);
    await command(site, ['image', 'remove', `q${n}`]);
  }
});

test('an export writes to no other file', async () => {
  const volume = await newVolume(server, 'exported');
  const ask = { name: 'moment', source_volume_id: volume };
  const { snapshot } = await server.ok('CreateSnapshot', ask);
  const snapshot_id = snapshot?.snapshot_id ?? '';
  for (const format of ['raw', 'qcow2']) {
    const at = await directories(`export-${format}`);
    await symlink(victim, at('other/draft'));
    const cue = { appears: at('now'), prefix: 'out.part-' };
    const swap: Swap['then'] = [
      [at('now/FOUND'), at('hidden')],
      [at('other/draft'), at('now/FOUND')],
      [at('other'), at('swapped')],
    ];
    await using _ = await startSwapper([{ cue, then: swap }]);
    const words = ['export', snapshot_id, '--format', format, '--to', at('now/out')];
    const wait = { nodeFlags: ['--import', waitForSwap], env: { SWAPPED: at('swapped') } };
    const ended = await startCommand(site, [...words, '--trust-directory'], wait).ended;
    expect((await readFile(victim)).equals(precious)).toBe(true);
    expect(ended).toMatchObject({ code: 1, out: '' });
    expect(ended.err).toMatch(/out was exchanged for another file during the command/);
    // The link of the attacker is left as it is, and nothing has the name that was asked for.
    const left = await readdir(at('now'));
    expect(left).toEqual([expect.stringMatching(/^out\.part-/)]);
    expect(await readlink(at(`now/${left[0] ?? ''}`))).toBe(victim);
  }
  await server.ok('DeleteSnapshot', { snapshot_id });
  await server.ok('DeleteVolume', { volume_id: volume });
});

test('adopting removes no other file', async () => {
  const at = await directories('adopt');
  const ended = await swappedAfterLink(at, ['adopt', at('now/disk'), '--name', 'a']);
  expect(ended).toMatchObject({ code: 0, err: '' });
  expect(await readdir(victims)).toEqual(['disk']);
  expect(await readdir(at('hidden'))).toEqual([]);
  await server.ok('DeleteVolume', { volume_id: `${await rootId()}.a` });
});

test('a move removes no other file', async () => {
  const at = await directories('move');
  const words = ['image', 'import', at('now/disk'), '--name', 'm', '--format', 'raw', '--move'];
  const ended = await swappedAfterLink(at, words);
  expect(ended).toMatchObject({ code: 0, err: '' });
  expect(await readdir(victims)).toEqual(['disk']);
  expect(await readdir(at('hidden'))).toEqual([]);
  await command(site, ['image', 'remove', 'm']);
});

test('a directory of another user is refused until the administrator trusts that user', async () => {
  const at = await directories('refused');
  await writeFile(at('now/disk'), 'mine'.repeat(1024));
  const file = at('now/disk');
  for (const words of [
    ['image', 'import', file, '--name', 'x', '--format', 'raw'],
    ['image', 'import', file, '--name', 'x', '--format', 'raw', '--move'],
    ['adopt', file],
    ['adopt', at('now')],
    ['export', 'none', '--format', 'raw', '--to', at('now/new')],
  ]) {
    const { code, err } = await command(site, words);
    expect(err).toMatch(/not safe to use: \S+ belongs to user 64242.*--trust-directory/);
    expect(code).toBe(1);
  }
  await symlink(victims, at('link'));
  const linked = await command(site, ['adopt', at('link/disk'), '--trust-directory']);
  expect(linked.err).toMatch(/leads through a symbolic link, and \S+ belongs to user 64242/);
  expect(filesOnDisk(site.root)).toEqual([]);
  expect(site.problems()).toEqual([]);
});

/** Runs a command on `now/disk`; its directory is swapped as soon as the file has a name in the root. */
async function swappedAfterLink(at: (path: string) => string, words: readonly string[]) {
  await beside(at);
  await mkdir(at('mark'));
  await chown(at('mark'), attacker, attacker);
  const then = [...swapped(at), [at('mark'), at('swapped')] as const];
  await using _ = await startSwapper([{ cue: { linked: at('now/disk') }, then }]);
  const wait = { nodeFlags: ['--import', waitForSwap], env: { SWAPPED: at('swapped') } };
  return await startCommand(site, [...words, '--trust-directory'], wait).ended;
}

/** A file of the attacker, and in the place of its directory later a link to one of root. */
async function beside(at: (path: string) => string): Promise<void> {
  await writeFile(at('now/disk'), 'mine'.repeat(1024));
  await rm(at('other'), { recursive: true });
  await symlink(victims, at('other'));
}

const rootId = async (): Promise<string> =>
  (JSON.parse(await readFile(join(site.root, '.gpfs-csi/root.json'), 'utf8')) as { rootId: string })
    .rootId;
