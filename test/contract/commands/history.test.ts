import { expect, test } from 'vitest';
import { newSnapshot, newVolume } from '../../support/disk/csi.ts';
import { cli } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';

const site = await realSite();
const server = await site.serve('a1');
const db = await newVolume(server, 'db');
await newSnapshot(server, 'nightly', db);
const gone = await newVolume(server, 'gone');
await server.ok('DeleteVolume', { volume_id: gone });

async function history(...argv: readonly string[]) {
  const running = cli(['history', ...argv], {
    GPFS_CSI_ROOT: site.root,
    GPFS_CSI_MM_DIR: site.bin,
    KUBERNETES_SERVICE_HOST: '10.96.0.1',
  });
  return { status: await running.status, out: running.out(), err: running.err() };
}

test('shows what the server did, in the order of time, also to what is deleted', async () => {
  const { status, out, err } = await history('--since', '1h');
  expect({ status, err }).toEqual({ status: 0, err: '' });
  const rows = out.trimEnd().split('\n').slice(2);
  // Both records of the snapshot may have the same moment.
  const said = rows.map((row) => row.split(/ {2,}/).slice(2).join(' '));
  expect(said.slice(0, 1)).toEqual(['create 64 MiB a1 volume db done']);
  expect(said.slice(1, 3).toSorted()).toEqual([
    'snapshot 64 MiB a1 snapshot nightly done',
    'snapshot nightly a1 volume db done',
  ]);
  expect(said.slice(3)).toEqual([
    'create 64 MiB a1 volume gone done',
    'delete a1 volume gone done',
  ]);
});

test('of one volume as JSON, and refuses what it does not know', async () => {
  const { out } = await history(db, '--json');
  expect(JSON.parse(out)).toMatchObject({ roots: [{ path: site.root, operations: [{}, {}] }] });
  expect(await history('no-such-volume')).toMatchObject({
    status: 1,
    err: expect.stringContaining('no volume or snapshot is called "no-such-volume"') as string,
  });
  expect(await history('--since', 'yesterday', '--last', '0')).toMatchObject({
    status: 2,
    out: '',
  });
});
