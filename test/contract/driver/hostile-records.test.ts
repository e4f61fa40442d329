import {
  chmod,
  chown,
  mkdir,
  readFile,
  readdir,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { shardOf } from '../../../src/model/ids.ts';
import { command } from '../../support/disk/command.ts';
import { asMount, mib, newVolume, volumeRequest } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';

// Somebody who can write in the root puts into records what no request may say.

const site = await realSite();
const server = await site.serve();
const state = join(site.root, '.gpfs-csi');
const attach = { node_id: server.node, readonly: false, volume_capability: asMount() };

async function recordOf(name: string): Promise<string> {
  const records = join(state, 'records/volumes');
  for (const shard of await readdir(records))
    for (const file of await readdir(join(records, shard)))
      if (file.startsWith(`${name}.`)) return join(records, shard, file);
  throw new Error(`there is no record of ${name}`);
}

type Fields = Readonly<Record<string, unknown>>;

/** Changes fields of a record in its place; resolves to what takes the change back. */
async function falsify(name: string, change: (record: Fields) => Fields) {
  const path = await recordOf(name);
  const text = await readFile(path, 'utf8');
  await writeFile(path, JSON.stringify(change(JSON.parse(text) as Fields)));
  return () => writeFile(path, text);
}

const hostile: readonly (readonly [what: string, change: (record: Fields) => Fields])[] = [
  ['options of mkfs', (r) => ({ ...r, options: { fsType: 'ext4', mkfsOptions: ['-d', '/etc'] } })],
  ['a file system', (r) => ({ ...r, content: { kind: 'formatting', fsType: '../../x' } })],
  ['a label', (r) => ({ ...r, options: { fsType: 'ext4', fsLabel: '-n x' } })],
  ['a pool', (r) => ({ ...r, attributes: { pool: '--help' } })],
  ['copies', (r) => ({ ...r, attributes: { dataReplicas: -1 } })],
  ['a key', (r) => ({ ...r, image: { key: '../../x.1-a', inode: '5' } })],
  ['a parent', (r) => ({ ...r, parent: '../../x' })],
  ['a sector size', (r) => ({ ...r, sectorBytes: 1e9 })],
  ['a handle', (r) => ({ ...r, handle: '../x' })],
];

test.each(hostile)('a record with %s that no request may say is refused', async (_, change) => {
  const id = await newVolume(server, 'v');
  const undo = await falsify('v', change);
  const refused = await server.refused('ControllerPublishVolume', { ...attach, volume_id: id });
  expect(refused).toMatch(/record \S+ cannot be read .*it was left as it is/);
  await undo();
  await server.ok('DeleteVolume', { volume_id: id });
});

test('a snapshot with the id of another directory makes no file there', async () => {
  const id = await newVolume(server, 'grouped');
  const undo = await falsify('grouped', (record) => ({
    ...record,
    claim: {
      op: 'clone',
      node: 'gone',
      instance: 'x',
      boot: 'x',
      nonce: 'x',
      sinceMs: 0,
      released: true,
      snapshot: '../..',
    },
  }));
  const request = { volume_id: id, capacity_range: mib(128) };
  expect(await server.refused('ControllerExpandVolume', request)).toMatch(/cannot be read/);
  await undo();
  await server.ok('DeleteVolume', { volume_id: id });
});

test('a shard that is a symbolic link leads nowhere', async () => {
  const shard = join(site.root, 'volumes', shardOf('linked'));
  const away = join(site.mount, 'away');
  await mkdir(away);
  await symlink(away, shard);
  const asked = volumeRequest('linked');
  expect(await server.refused('CreateVolume', asked)).toMatch(/it is a symlink, and a root has/);
  expect(await readdir(away)).toEqual([]);
  await unlink(shard);
  const { volume } = await server.ok('CreateVolume', asked);
  await server.ok('DeleteVolume', { volume_id: volume?.volume_id ?? '' });
});

test('a root that others may write to is refused, and doctor says why', async () => {
  const volumes = join(site.root, 'volumes');
  const harms = [
    [() => chmod(site.root, 0o757), () => chmod(site.root, 0o755)],
    [() => chown(volumes, 64_242, 0), () => chown(volumes, 0, 0)],
  ] as const;
  for (const [harm, mend] of harms) {
    await harm();
    const { code, out } = await command(site, ['doctor', '--root', site.root, '--no-probe']);
    expect(out).toMatch(/is not safe to use: (?:others may write to|\S+ belongs to user 64242)/);
    expect(code).toBe(1);
    await mend();
  }
});
