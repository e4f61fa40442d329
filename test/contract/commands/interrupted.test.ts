import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { GiB } from '../../../src/model/bytes.ts';
import { command, commandLine, startCommand } from '../../support/disk/command.ts';
import { newSnapshot, remove } from '../../support/disk/csi.ts';
import { openFiles, processesWith } from '../../support/disk/processes.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

// Ctrl-C in the middle: nothing half done stays, and the same command again does it all.

const site = await realSite({ size: 80n * GiB });
const other = `${site.root}-2`;
await mkdir(other);
const roots = `${site.root},${other}`;
const server = await site.serve('a1', { flags: { root: roots } });
const fileset = join(site.root, '..');
const outside = join(site.directory, 'outside');
await mkdir(outside);

const pieces = [
  [0, randomBytes(2 ** 20)],
  [3 * 2 ** 30 + 12_288, randomBytes(2 ** 20)],
] as const;

interface Volume {
  readonly volumeHandle: string;
}

const handleIn = (document: unknown): string =>
  (document as { readonly spec: { readonly csi: Volume } }).spec.csi.volumeHandle;

/** A sparse volume with data at its start and far behind; to read it takes seconds. */
async function sparse(name: string, bytes: bigint): Promise<string> {
  const path = join(fileset, `${name}.raw`);
  await writeFile(path, '');
  await truncate(path, Number(bytes));
  for (const [at, data] of pieces) await writeAt(path, data, at);
  const { code, out, err } = await command(site, ['adopt', path, '--name', name]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return handleIn(parse(out));
}

async function writeAt(path: string, data: Buffer, at: number): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(data, 0, data.length, at);
}

async function requirePieces(path: string): Promise<void> {
  await using file = await open(path, 'r');
  for (const [at, data] of pieces) {
    const { buffer } = await file.read(Buffer.alloc(data.length), 0, data.length, at);
    expect(buffer.equals(data)).toBe(true);
  }
}

const claimed = (root: string) =>
  (['volumes', 'snapshots', 'hidden'] as const)
    .flatMap((kind) => recordsOnDisk(root, kind))
    .filter(({ claim }) => claim);

/** Halts the qemu-img that has a file open whose path begins so: it is no part of the command's process. False for none. */
function haltQemu(path: string): boolean {
  const [pid] = processesWith((line) => /^(?:[^\0]*\/)?qemu-img\0/.test(line)).filter((each) =>
    openFiles(each).some((file) => file.startsWith(path)),
  );
  if (pid === undefined) return false;
  process.kill(pid, 'SIGSTOP');
  return true;
}

/** Sends a signal as soon as a command is in the middle, however fast it is: it stands still meanwhile. */
async function interrupt(
  argv: readonly string[],
  signal: 'SIGINT' | 'SIGTERM',
  inTheMiddle: () => boolean | Promise<boolean>,
) {
  const { child, ended } = startCommand(site, argv);
  for (;;) {
    child.kill('SIGSTOP');
    if (child.exitCode !== null) throw new Error('it ended before it was in the middle');
    const there = await Promise.resolve(inTheMiddle()).catch((error: unknown) => {
      // A command that stands still would hold the site for ever.
      child.kill('SIGKILL');
      throw error;
    });
    if (there) child.kill(signal);
    child.kill('SIGCONT');
    if (there) return ended;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const stopped = { code: 130, err: expect.stringMatching(/interrupted/) as string };

// One handler hears both signals, so each kind of work is interrupted by one of them.
describe('a command that is interrupted in the middle of', () => {
  test.each([
    ['raw', 'SIGINT'],
    ['qcow2', 'SIGTERM'],
  ] as const)('an export as %s, by %s', async (format, signal) => {
    const id = await sparse(`${format}-export`, 4n * GiB);
    // qemu-img knows holes: it needs data to be busy with.
    if (format === 'qcow2')
      for (let n = 1n; n <= 64n; n++)
        await writeAt(
          imageOnDisk(site.root, id),
          randomBytes(2 ** 22),
          Number(n * 16n * 2n ** 20n),
        );
    const name = `${format}.out`;
    const to = join(outside, name);
    const argv = ['export', id, '--format', format, '--to', to];
    const here = async () => (await readdir(outside)).filter((each) => each.startsWith(name));
    const draft = async () => {
      const [file] = await here();
      if (file === undefined) return false;
      if (format === 'qcow2') return haltQemu(`${to}.part-`);
      return (await stat(join(outside, file))).size > 0;
    };
    expect(await interrupt(argv, signal, draft)).toMatchObject(stopped);
    expect(await here()).toEqual([]);
    expect((await server.ok('ListSnapshots', {})).entries).toEqual([]);
    expect(claimed(site.root)).toEqual([]);
    expect(await command(site, argv)).toMatchObject({
      code: 0,
      err: expect.stringMatching(/ is exported\n$/) as string,
    });
    if (format === 'raw') await requirePieces(to);
    else {
      execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', to, `${to}.raw`]);
      await requirePieces(`${to}.raw`);
    }
    await remove(server, { volumes: [id] });
  });

  test('an export to a pipe that nobody reads', async () => {
    const id = await sparse('piped', 4n * GiB);
    const pipe = join(outside, 'pipe');
    execFileSync('mkfifo', [pipe]);
    // Held open for both, so that it neither waits for a reader nor breaks for want of one.
    await using held = await open(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    const argv = ['export', id, '--format', 'raw', '--to', '-'];
    const { child, ended } = startCommand(site, argv, { out: held.fd });
    const something = () =>
      held.read(Buffer.alloc(1), 0, 1).then(
        () => true,
        () => false,
      );
    await expect.poll(something, { timeout: 60_000 }).toBe(true);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject(stopped);
    expect((await server.ok('ListSnapshots', {})).entries).toEqual([]);
    expect(claimed(site.root)).toEqual([]);
    const shell = '"$@" | head -c 1048576 | sha256sum';
    const sum = execFileSync('sh', ['-c', shell, 'sh', ...commandLine(site, argv)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    expect(sum.slice(0, 64)).toBe(createHash('sha256').update(pieces[0][1]).digest('hex'));
    await remove(server, { volumes: [id] });
  });

  test('a move by copy', async () => {
    const id = await sparse('moved', 4n * GiB);
    const cut = await newSnapshot(server, 'cut', id);
    const argv = ['migrate', id, '--to', other, '--root', roots];
    const before = filesOnDisk(other);
    const copying = () =>
      recordsOnDisk(other, 'volumes').some(
        ({ claim }) => Number(claim?.fill?.copiedBytes ?? 0) >= 2 ** 30,
      );
    expect(await interrupt(argv, 'SIGINT', copying)).toMatchObject(stopped);
    expect(filesOnDisk(other)).toEqual(before);
    expect([...claimed(site.root), ...claimed(other)]).toEqual([]);
    expect(site.problems()).toEqual([]);
    await requirePieces(imageOnDisk(site.root, id));
    expect(await command(site, argv)).toMatchObject({ code: 0, out: `volume ${id}: copied\n` });
    await requirePieces(imageOnDisk(other, id));
    await remove(server, { volumes: [id], snapshots: [cut] });
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'the adoption of a directory, by %s',
    async (signal) => {
      const directory = join(fileset, `cinder-${signal}`);
      await mkdir(directory);
      const made = new Map<string, Buffer>();
      for (let n = 0; n < 5; n++) made.set(`volume-${randomUUID()}`, randomBytes(256 * 1024));
      for (const [name, data] of made) await writeFile(join(directory, name), data);
      const [first = ''] = made.keys();
      const snapshot = `snapshot-${randomUUID()}`;
      const paths = [join(directory, first), join(directory, snapshot)];
      execFileSync(join(site.bin, 'mmclone'), ['snap', ...paths]);
      const argv = ['adopt', directory];
      const gone = async () => (await readdir(directory)).length < made.size;
      const { out, ...ended } = await interrupt(argv, signal, gone);
      expect(ended).toMatchObject(stopped);
      expect((await readdir(directory)).length).toBeGreaterThan(0);
      expect(claimed(site.root)).toEqual([]);
      const again = await command(site, argv);
      expect(again.code).toBe(0);
      expect(await readdir(directory)).toEqual([]);
      const printed = [out, again.out].flatMap((text) =>
        parseAllDocuments(text).map((each) => handleIn(each.toJS())),
      );
      const handles = [...made.keys()].map((name) => `${printed[0]?.slice(0, 8)}.${name}`);
      expect([...printed].sort()).toEqual(handles.sort());
      for (const [name, data] of made)
        expect((await readFile(imageOnDisk(site.root, name))).equals(data)).toBe(true);
      const snapshots = [`${printed[0]?.slice(0, 8)}.${snapshot}`];
      await remove(server, { volumes: handles, snapshots });
      expect(site.problems()).toEqual([]);
    },
  );
});
