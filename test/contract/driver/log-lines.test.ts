import { expect, test } from 'vitest';
import { asMount, volumeRequest } from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';

const site = await realSite();
const named = (kind: string, name: string) => ({
  [`csi.storage.k8s.io/${kind}/namespace`]: 'data',
  [`csi.storage.k8s.io/${kind}/name`]: name,
});
const capability = asMount();

/** The lines of a server as objects. */
const linesOf = (text: string): readonly Readonly<Record<string, unknown>>[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);

test('all lines that a request caused have its id, and the name of the claim', async () => {
  const server = await site.serve('a1', { flags: { 'log-level': 'debug' } });
  const create = { ...volumeRequest('pvc-1', { capability }), parameters: named('pvc', 'db') };
  const volume_id = (await server.ok('CreateVolume', create)).volume?.volume_id ?? '';
  const snapshot = { name: 's', source_volume_id: volume_id };
  await server.ok('CreateSnapshot', {
    ...snapshot,
    parameters: named('volumesnapshot', 'nightly'),
  });
  const { staging } = await site.place('v');
  const where = { volume_id, volume_capability: capability, staging_target_path: staging };
  await server.ok('ControllerPublishVolume', { ...where, node_id: server.node });
  await server.ok('NodeStageVolume', where);
  await server.ok('NodeUnstageVolume', where);
  const lines = linesOf(server.log());
  const requests = lines.filter(({ message }) => message === 'request done');
  const nameOf = (rpc: string) => requests.find((line) => line['rpc'] === rpc)?.['kubernetes'];
  expect(nameOf('CreateVolume')).toBe('data/db');
  expect(nameOf('CreateSnapshot')).toBe('data/nightly');
  expect(nameOf('ControllerPublishVolume')).toBe('data/db');
  expect(nameOf('NodeStageVolume')).toBe('data/db');
  const ids = new Set(requests.map((line) => line['requestId']));
  expect(ids.size).toBe(requests.length);
  const ofCommand = (program: string) =>
    lines.find(({ argv }) => Array.isArray(argv) && String(argv[0]).endsWith(program));
  const idOf = (rpc: string) => requests.find((line) => line['rpc'] === rpc)?.['requestId'];
  expect(ofCommand('mmclone')?.['requestId']).toBe(idOf('CreateSnapshot'));
  expect(ofCommand('mkfs.ext4')?.['requestId']).toBe(idOf('NodeStageVolume'));
  await server.ok('ControllerUnpublishVolume', { ...where, node_id: server.node });
  expect(await server.end()).toBe(0);
});
