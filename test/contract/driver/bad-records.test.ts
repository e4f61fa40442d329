import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { newSnapshot, newVolume, remove } from '../../support/disk/csi.ts';
import { cli, type RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';

// Files that do not belong among the records, as an administrator, a restore or a broken program leaves them.

const site = await realSite();
const { root, bin } = site;
const state = join(root, '.gpfs-csi');

/** What is put in the place of a record, and what the driver says of it. */
const damages: Readonly<Record<string, readonly [(path: string) => Promise<unknown>, RegExp]>> = {
  oversized: [
    (path) => writeFile(path, '{').then(() => truncate(path, 2 << 20)),
    /larger than 1 MiB/,
  ],
  fifo: [(path) => Promise.resolve(execFileSync('mkfifo', [path])), /it is a special file/],
  directory: [(path) => mkdir(path), /it is a directory/],
  symlink: [(path) => symlink('/etc/hostname', path), /it is a symbolic link/],
  device: [
    (path) => Promise.resolve(execFileSync('mknod', [path, 'c', '1', '5'])),
    /larger than 1 MiB/,
  ],
  garbage: [(path) => writeFile(path, 'x\0y'), /it is not JSON/],
  newer: [(path) => writeFile(path, '{"format": 99}'), /upgrade the driver/],
  foreign: [
    (path) => writeFile(path, JSON.stringify({ format: 1, id: 'other' })),
    /invalid|expected/i,
  ],
};

const recordOf = async (kind: string, name: string): Promise<string> => {
  const directory = join(state, 'records', kind);
  for (const shard of await readdir(directory))
    for (const file of await readdir(join(directory, shard)))
      if (file.startsWith(`${name}.`)) return join(directory, shard, file);
  throw new Error(`there is no record of ${name}`);
};

/** Files beside the records, each in a place of its own. */
const strays = [
  'records/volumes/notes.txt',
  'records/snapshots/abc',
  'edges/notes.txt',
  'marks/notes.txt',
  'queue/waiting/notes.txt',
  'copies/notes.txt',
].map((path) => join(state, path));

let server: RealServer;
let good: string;
const bad = new Map<string, string>();
const undo: (() => Promise<unknown>)[] = [];

async function replace(kind: string, name: string, harm: (path: string) => Promise<unknown>) {
  const path = await recordOf(kind, name);
  const saved = join(site.directory, `saved-${basename(path)}`);
  await writeFile(saved, await readFile(path));
  await rm(path);
  await harm(path);
  undo.push(async () => {
    await rm(path, { recursive: true });
    await writeFile(path, await readFile(saved), { mode: 0o640 });
  });
}

beforeAll(async () => {
  server = await site.serve('a1');
  good = await newVolume(server, 'good');
  await newSnapshot(server, 'good-snap', good);
  for (const [name, [harm]] of Object.entries(damages)) {
    bad.set(name, await newVolume(server, name));
    await replace('volumes', name, harm);
  }
  await newSnapshot(server, 'bad-snap', good);
  await replace('snapshots', 'bad-snap', damages['fifo']?.[0] ?? (() => Promise.resolve()));
  bad.set('numbered', await newVolume(server, 'numbered'));
  const far = (await recordOf('volumes', 'numbered')).replace(/\d+$/, '999999999999999');
  await writeFile(far, 'x');
  undo.push(() => rm(far));
  for (const path of strays) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'mine');
    undo.push(() => rm(path));
  }
});

const lines = (of: string): number =>
  server
    .log()
    .split('\n')
    .filter((line) => line.includes(of)).length;

describe('files among the records that are no records', () => {
  test('lists go on without them, and the log names each of them once', async () => {
    for (let round = 0; round < 3; round++) {
      const { entries } = await server.ok('ListVolumes', {});
      expect(entries.map(({ volume }) => volume?.volume_id)).toEqual([good]);
      const listed = (await server.ok('ListSnapshots', {})).entries;
      expect(listed.map(({ snapshot }) => snapshot?.snapshot_id)).toEqual([
        good.replace('good', 'good-snap'),
      ]);
    }
    for (const name of bad.keys()) expect(lines(`/${name}.`), `${name}: ${server.log()}`).toBe(1);
  });

  test('a request for exactly that object says what is wrong, and the others are served', async () => {
    const sentence =
      /^INTERNAL record \S+ cannot be read \((.*)\); it was left as it is, and gpfs-csi doctor says what to do$/;
    for (const [name, id] of bad) {
      const why = damages[name]?.[1] ?? /no server writes version 999999999999999/;
      for (const rpc of ['ControllerGetVolume', 'DeleteVolume'] as const) {
        const said = await server.refused(rpc, { volume_id: id });
        expect(said, name).toMatch(sentence);
        expect(said, name).toMatch(why);
      }
    }
    const snapshot_id = good.replace('good', 'bad-snap');
    expect(await server.refused('ListSnapshots', { snapshot_id })).toMatch(sentence);
    const fresh = await newVolume(server, 'fresh');
    const cut = await newSnapshot(server, 'fresh-snap', fresh);
    await remove(server, { volumes: [fresh], snapshots: [cut] });
  });

  test('doctor and tree name each, and end', async () => {
    const places = ['--root', root, '--mm-dir', bin, '--mm-runner', 'direct', '--node-id', 'a1'];
    const doctor = cli(['doctor', ...places, '--no-probe']);
    expect(await doctor.status, doctor.err()).toBe(1);
    for (const name of bad.keys())
      expect(doctor.out()).toMatch(
        new RegExp(`FAILED .*(?:damaged|newer) record: \\S+/${name}\\.`),
      );
    for (const path of strays) expect(doctor.out()).toContain(`strange file: ${path} `);
    const tree = cli(['tree', ...places]);
    expect(await tree.status).toBe(1);
    expect(tree.out()).toMatch(/good-snap/);
  });

  test('once they are gone, all is as it was', async () => {
    for (const back of undo.splice(0)) await back();
    const { entries } = await server.ok('ListVolumes', {});
    expect(entries).toHaveLength(bad.size + 1);
    const snapshots = ['good-snap', 'bad-snap'].map((name) => good.replace('good', name));
    await remove(server, { volumes: [...bad.values(), good], snapshots });
  });
});
