import { readFile, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { packageVersion } from '../../../src/cli/command/version.ts';
import {
  asBlock,
  fromSnapshot,
  fromVolume,
  newSnapshot,
  newVolume,
  remove,
  use,
} from '../../support/disk/csi.ts';
import { cli, type RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

// The command as people run it, beside a running server, over real files.

const site = await realSite();
const { root, bin } = site;
const state = join(root, '.gpfs-csi');
const places = ['--root', root, '--mm-dir', bin, '--mm-runner', 'direct', '--node-id', 'a1'];

interface Line {
  readonly name: string;
  readonly status: string;
  readonly says: string;
  readonly object?: string;
}

async function run(...flags: readonly string[]) {
  const running = cli(['doctor', ...places, ...flags]);
  const status = await running.status;
  return { status, out: running.out(), err: running.err() };
}

/** What doctor says of records, and what a repair did. */
async function examine(...flags: readonly string[]) {
  const { status, out, err } = await run('--json', '--no-probe', ...flags);
  expect(err).toBe('');
  const answer = JSON.parse(out) as {
    healthy: boolean;
    node: Line[];
    roots: { root: string; checks: Line[] }[];
    repairs: string[];
  };
  expect(status).toBe(answer.healthy ? 0 : 1);
  const checks = answer.roots.flatMap((each) => each.checks);
  const wrong = [...answer.node, ...checks].filter((each) => /warning|failed/.test(each.status));
  return { ...answer, checks, wrong: wrong.map(({ says }) => says) };
}

let server: RealServer;
const ids = new Map<string, string>();
const id = (name: string): string => ids.get(name) ?? '';

async function build(): Promise<void> {
  const volume = async (name: string, rest = {}) => {
    ids.set(name, await newVolume(server, name, rest));
    await writeFile(imageOnDisk(root, id(name)), name.padEnd(4096), { flag: 'r+', flush: true });
  };
  const snapshot = async (name: string, of: string) => {
    ids.set(name, await newSnapshot(server, name, id(of)));
  };
  for (const name of ['lone', 'other', 'v']) await volume(name);
  for (const name of ['s1', 'dead', 's2']) await snapshot(name, 'v');
  ids.set('r', await newVolume(server, 'r', { from: fromSnapshot(id('s1')) }));
  const used = await use(site, server, id('v'), asBlock());
  await used.release();
  ids.set('c', await newVolume(server, 'c', { from: fromVolume(id('v')) }));
  await remove(server, { snapshots: [id('dead')] });
}

beforeAll(async () => {
  server = await site.serve('a1', { flags: { compaction: 'paused' } });
  await build();
});

const contents = async () => {
  const texts = ['lone', 'other', 'v', 'r', 'c'].map(async (name) => {
    const text = await readFile(imageOnDisk(root, id(name)));
    return [name, text.subarray(0, 4096).toString().trim()] as const;
  });
  return Object.fromEntries(await Promise.all(texts));
};

const recordPath = async (kind: string, name: string): Promise<string> => {
  const directory = join(state, 'records', kind);
  for (const shard of await readdir(directory))
    for (const file of await readdir(join(directory, shard)))
      if (file.startsWith(`${name}.`)) return join(directory, shard, file);
  throw new Error(`there is no record of ${name}`);
};

async function edit(kind: string, name: string, change: (text: string) => string): Promise<void> {
  const path = await recordPath(kind, name);
  await writeFile(path, change(await readFile(path, 'utf8')));
}

const pathOf = (name: string): string =>
  filesOnDisk(root).find((path) => basename(path).startsWith(`${name}.`)) ?? '';

describe('gpfs-csi doctor', () => {
  test('finds a root in use healthy, tries what GPFS allows, and leaves nothing', async () => {
    const before = filesOnDisk(root);
    const { status, out, err } = await run();
    expect({ status, err }, out).toEqual({ status: 0, err: '' });
    for (const line of [
      /^ {2}ok +daemon +GPFS is active on this node$/m,
      /^ {2}ok +probe +18 of 18 questions answered on a1 \(mmclone snap \d+ ms,/m,
      /^ {2}ok +records +5 volumes, 2 snapshots, 2 clone parents(?: \(\d (?:parent or snapshot holds|parents and snapshots hold) no blocks\))?: records, files and GPFS agree$/m,
      /^ {2}ok +servers +running on a1$/m,
    ])
      expect(out).toMatch(line);
    expect(filesOnDisk(root)).toEqual(before);
    expect(await readdir(join(state, 'probe'))).toEqual([]);
    expect(site.inUse()).toEqual([]);
    expect((await examine()).checks.find(({ name }) => name === 'probe')?.says).toContain('a1');
  });

  test('names the node and the version that answer first', async () => {
    const { out } = await run('--no-probe');
    expect(out.split('\n')[0]).toBe(`gpfs-csi doctor on node a1, version ${packageVersion()}`);
  });

  test('knows all nodes by what their servers left in the root', async () => {
    const { out } = await run('--all-nodes');
    expect(out.split('\n')[0]).toBe(`gpfs-csi doctor on node a1, version ${packageVersion()}`);
    expect(out).toMatch(/^ {2}a1 +\S+ +\d+s +\d+s +0\/256 +(?:\?|nothing)$/m);
    expect((await run('--all-nodes', '--repair')).err).toMatch(/--all-nodes and --repair exclude/);
  });

  test.each([
    [['--nonsense'], /--nonsense is not a flag of doctor/],
    [['--repair', '--min-age', 'soon'], /--min-age takes minutes, not "soon"/],
    [['lone'], /"lone" is not expected here/],
  ])('%j is wrong usage', async (flags, sentence) => {
    const { status, out, err } = await run(...flags);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toMatch(sentence);
  });

  test.each([
    [{ daemon: 'down' }, /GPFS is down on this node; start it with mmstartup/],
    [{ member: false }, /not a member of a GPFS cluster/],
  ])('says what to do where %j', async (personality, sentence) => {
    await site.set(personality);
    const { healthy, wrong } = await examine();
    await site.set({ daemon: 'active', member: true });
    expect(healthy).toBe(false);
    expect(wrong.join('\n')).toMatch(sentence);
  });

  test('says whose a root is, where it is not there, and what stands open', async () => {
    const foreign = await examine('--owner', 'another');
    expect(foreign.wrong.join('\n')).toMatch(/belongs to owner "", not to "another"/);
    const { status, out } = await run('--no-probe', '--root', `${site.mount}/nowhere`);
    expect(status).toBe(2);
    expect(out).toBe('');
    const nowhere = cli(['doctor', '--root', `${site.mount}/nowhere`, ...places.slice(2)]);
    expect(await nowhere.status).toBe(1);
    expect(nowhere.out()).toMatch(/FAILED +mount .*nowhere does not exist; create the directory/);
  });
});

describe('a root that was damaged behind the back of its server', () => {
  test('every damage is found by name, the rest goes on, and a repair mends what it can', async () => {
    const before = await contents();
    const missing = imageOnDisk(root, id('other'));
    const saved = join(site.mount, 'csi-data', 'saved');
    const key = basename(pathOf('s2'));
    await rename(missing, saved);
    await edit('volumes', 'lone', (text) => text.replace('"state": "ready"', '"state": "rea'));
    await edit('volumes', 'r', (text) => text.replace(/"parent": "[^"]+"/, '"parent": "no.1-0"'));
    await edit('snapshots', 's1', (text) => text.replace('"parent": null', `"parent": "${key}"`));
    await rm(join(state, 'edges'), { recursive: true });
    await writeFile(join(root, 'volumes', 'notes.txt'), 'mine');
    await server.end();
    server = await site.serve('a1', { flags: { compaction: 'paused' } });

    const { wrong } = await examine();
    const all = wrong.join('\n');
    for (const sentence of [
      /damaged record: \S+lone\.\d+ cannot be used: it is not JSON/,
      /missing file: volume other: its file volumes\/other\.\S+ is not there/,
      /unknown parent: volume r has the parent no\.1-0, which no record knows/,
      /cycle: the records make a circle of parents: /,
      /child without edge: v\.\S+ reads through/,
      /strange file: \S+notes\.txt/,
    ])
      expect(all).toMatch(sentence);

    const fresh = await newVolume(server, 'fresh');
    await newSnapshot(server, 'fresh-snap', fresh);
    const young = await examine('--repair');
    expect(young.repairs.join('\n')).toMatch(/left \S+lone\.\d+: it is too young/);

    const { repairs, wrong: left } = await examine('--repair', '--min-age', '0');
    expect(repairs.join('\n')).toMatch(/made a record for volume lone: image lone\./);
    expect(left).toEqual([expect.stringMatching(/^missing file: volume other/)]);
    await rename(saved, missing);
    const after = await examine('--repair', '--min-age', '0');
    expect(after.repairs).toEqual([]);
    expect(after.wrong).toEqual([]);
    expect(await contents()).toEqual(before);
    const aside = join(state, 'quarantine');
    expect((await readdir(aside, { recursive: true })).map((path) => basename(path))).toEqual(
      expect.arrayContaining(['notes.txt', expect.stringMatching(/^lone\.\d+$/)]),
    );
    await remove(server, { volumes: [fresh] });
    await server.ok('DeleteSnapshot', { snapshot_id: fresh.replace(/fresh$/, 'fresh-snap') });
  });

  test('a file that was replaced or cut off is found, and never deleted', async () => {
    const path = imageOnDisk(root, id('other'));
    const saved = join(site.mount, 'csi-data', 'saved');
    await rename(path, saved);
    await writeFile(path, '');
    await truncate(path, 64 << 20);
    expect((await examine()).wrong.join('\n')).toMatch(
      /replaced file: volume other: .* it is another/,
    );
    expect(await server.refused('DeleteVolume', { volume_id: id('other') })).toMatch(
      /^FAILED_PRECONDITION volume other cannot be deleted: .* gpfs-csi doctor/,
    );
    await rm(path);
    await rename(saved, path);
    expect((await examine()).wrong).toEqual([]);
  });

  test('records and edges that are lost are made again from the files', async () => {
    const before = await contents();
    const kept = Object.fromEntries([...ids.values()].map((each) => [each, 0]));
    await server.end();
    for (const name of ['records', 'edges']) await rm(join(state, name), { recursive: true });
    server = await site.serve('a1', { flags: { compaction: 'paused' } });
    expect(await server.refused('ControllerGetVolume', { volume_id: id('v') })).toMatch(
      /^NOT_FOUND/,
    );
    const { repairs, wrong } = await examine('--repair', '--min-age', '0');
    expect(repairs.filter((each) => each.startsWith('made a record'))).toHaveLength(9);
    expect(wrong).toEqual([]);
    expect(await contents()).toEqual(before);
    expect(
      recordsOnDisk(root, 'volumes')
        .map((each) => each.id)
        .sort(),
    ).toEqual(['c', 'lone', 'other', 'r', 'v'].sort());
    const used = await use(site, server, id('v'), asBlock());
    expect((await readFile(used.target)).subarray(0, 1).toString()).toBe('v');
    await used.release();
    expect(Object.keys(kept)).toHaveLength(8);
    await remove(server, {
      volumes: ['v', 'r', 'c', 'lone', 'other'].map(id),
      snapshots: ['s1', 's2', 'dead'].map(id),
    });
    expect((await examine()).wrong).toEqual([]);
    expect(filesOnDisk(root)).toEqual([]);
  });
});
