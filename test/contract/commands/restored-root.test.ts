import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { asBlock, fromSnapshot, newSnapshot, newVolume, remove } from '../../support/disk/csi.ts';
import { cli, type RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk } from '../../support/disk/real-truth.ts';

// The state of a root comes back from a copy of an hour ago, while its images are those of now: docs/restored-root.md.

const site = await realSite();
const { root, bin } = site;
const state = join(root, '.gpfs-csi');
const copy = join(site.directory, 'copy');
const places = ['--root', root, '--mm-dir', bin, '--mm-runner', 'direct', '--node-id', 'a1'];

interface Line {
  readonly status: string;
  readonly says: string;
}

async function doctor(...flags: readonly string[]) {
  const running = cli(['doctor', ...places, '--json', '--no-probe', ...flags]);
  const status = await running.status;
  expect(running.err()).toBe('');
  const { roots, repairs } = JSON.parse(running.out()) as {
    roots: { checks: Line[] }[];
    repairs: string[];
  };
  const checks = roots.flatMap((each) => each.checks);
  const wrong = checks.filter((each) => /warning|failed/.test(each.status));
  return { status, wrong: wrong.map(({ says }) => says), repairs };
}

/** Every path of the root with its inode, and the text of what is small. */
async function everything(): Promise<readonly string[]> {
  const paths = await readdir(root, { recursive: true });
  return paths.sort().map((path) => {
    const stat = statSync(join(root, path));
    const text = stat.isFile() && stat.size < 65_536 ? readFileSync(join(root, path), 'utf8') : '';
    return `${path} ${stat.ino} ${text}`;
  });
}

const write = (id: string, text: string) =>
  writeFile(imageOnDisk(root, id), text.padEnd(4096), { flag: 'r+', flush: true });

const textOf = async (path: string): Promise<string> =>
  (await readFile(path)).subarray(0, 4096).toString().trim();

/** Attaches a volume that a lost machine may still write to, so that it gets a new image. */
async function fence(server: RealServer, id: string): Promise<void> {
  const image = imageOnDisk(root, id);
  const shard = basename(dirname(image));
  const marks = join(state, 'marks', shard, basename(image));
  const lost = { node: 'lost', machineId: 'm', bootId: 'b', image: basename(image), sinceMs: 1 };
  await mkdir(marks, { recursive: true });
  await writeFile(join(marks, 'lost.json'), JSON.stringify({ format: 1, ...lost }));
  const where = { volume_id: id, node_id: server.node };
  await server.ok('ControllerPublishVolume', { ...where, volume_capability: asBlock() });
  await server.ok('ControllerUnpublishVolume', where);
  await rm(marks, { recursive: true });
}

let server: RealServer;
const ids = new Map<string, string>();
const id = (name: string): string => ids.get(name) ?? '';

beforeAll(async () => {
  server = await site.serve('a1');
  const volume = async (name: string, text: string, rest = {}) => {
    ids.set(name, await newVolume(server, name, rest));
    await write(id(name), text);
  };
  for (const name of ['v', 'a', 'gone']) await volume(name, `${name} old`);
  ids.set('s1', await newSnapshot(server, 's1', id('v')));
  execFileSync('cp', ['-a', state, copy]);
  // What happens in the hour that the copy does not have.
  await write(id('v'), 'v before the fence');
  await fence(server, id('v'));
  await write(id('v'), 'v new');
  await remove(server, { volumes: [id('a'), id('gone')] });
  await volume('a', 'a new');
  await volume('b', 'b new');
  await volume('r', 'r new', { from: fromSnapshot(id('s1')) });
  ids.set('s2', await newSnapshot(server, 's2', id('v')));
  await write(id('v'), 'v newest');
  await server.end();
  await rm(state, { recursive: true });
  execFileSync('cp', ['-a', copy, state]);
});

const wanted = { a: 'a new', b: 'b new', r: 'r new', v: 'v newest' };

describe('a root whose records are older than its files', () => {
  test('is recognised, and no advice for it can cost data', async () => {
    const { status, wrong } = await doctor();
    expect(status).toBe(1);
    const all = wrong.join('\n');
    expect(all).toMatch(/restored root: \d+ of \d+ records are older .*docs\/restored-root\.md/);
    for (const name of ['v', 'a'])
      expect(all).toMatch(
        new RegExp(`outdated record: volume ${name}: .*/volumes/\\S+/${name}\\.`),
      );
    expect(all).not.toMatch(/nothing of it is left|rename it back|sets it aside|delete the object/);
  });

  test('a repair touches nothing in it', async () => {
    const before = await everything();
    const { repairs } = await doctor('--repair', '--min-age', '0');
    expect(await everything()).toEqual(before);
    expect(repairs).toEqual([
      expect.stringMatching(/^left this root: its records and its files are of different times/),
    ]);
  });

  test('by the page, everything comes back as it was last', async () => {
    const kept = join(site.mount, 'csi-data', 'kept');
    await mkdir(kept);
    for (const name of ['records', 'edges']) await rename(join(state, name), join(kept, name));
    const { repairs, wrong } = await doctor('--repair', '--min-age', '0');
    expect(wrong, repairs.join('\n')).toEqual([]);
    server = await site.serve('a1');
    const { entries } = await server.ok('ListVolumes', {});
    expect(entries.map(({ volume }) => volume?.volume_id).sort()).toEqual(
      Object.keys(wanted).map(id).sort(),
    );
    for (const [name, text] of Object.entries(wanted))
      expect(await textOf(imageOnDisk(root, id(name)))).toBe(text);
    for (const [name, text] of [
      ['s1', 'v old'],
      ['s2', 'v new'],
    ] as const) {
      const from = await newVolume(server, `of-${name}`, { from: fromSnapshot(id(name)) });
      expect(await textOf(imageOnDisk(root, from))).toBe(text);
      await remove(server, { volumes: [from] });
    }
    await remove(server, {
      volumes: Object.keys(wanted).map(id),
      snapshots: [id('s1'), id('s2')],
    });
    await rm(kept, { recursive: true });
    expect(filesOnDisk(root)).toEqual([]);
  });
});
