import { expect, test } from 'vitest';
import {
  fromVolume,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
const server = await site.serve();
const twenty = Array.from({ length: 20 }, (_, index) => index);

test('21: 20 callers with one name get one id and one image file', async () => {
  const ids = await Promise.all(twenty.map(() => newVolume(server, 'v21')));
  expect(new Set(ids).size).toBe(1);
  expect(filesOnDisk(site.root)).toHaveLength(1);
  await remove(server, { volumes: [ids[0] ?? ''] });
});

test('21: 20 callers who clone one volume under one name make one clone and one hidden parent', async () => {
  const source = await newVolume(server, 'v21-source');
  const from = fromVolume(source);
  const ids = await Promise.all(twenty.map(() => newVolume(server, 'v21-clone', { from })));
  expect(new Set(ids).size).toBe(1);
  expect(filesOnDisk(site.root)).toHaveLength(3);
  await remove(server, { volumes: [source, ids[0] ?? ''] });
  expect(filesOnDisk(site.root)).toEqual([]);
});

test('62: 20 callers with one name of a snapshot get one snapshot', async () => {
  const source = await newVolume(server, 'v62');
  const ids = await Promise.all(twenty.map(() => newSnapshot(server, 's62', source)));
  expect(new Set(ids).size).toBe(1);
  expect(filesOnDisk(site.root, 'snapshots')).toHaveLength(1);
  await remove(server, { snapshots: [ids[0] ?? ''], volumes: [source] });
  expect(filesOnDisk(site.root)).toEqual([]);
});

test('38: 20 callers who delete one volume all succeed, and it is gone', async () => {
  const volume_id = await newVolume(server, 'v38');
  await Promise.all(twenty.map(() => server.ok('DeleteVolume', { volume_id })));
  expect(filesOnDisk(site.root)).toEqual([]);
});

test('9.12: clones and snapshots of one source, and its deletion, side by side', async () => {
  const source = await newVolume(server, 'v912');
  const work = twenty.slice(0, 12).map(async (index) => {
    const from = fromVolume(source);
    if (index % 2 === 0) return newVolume(server, `v912-${index}`, { from });
    return newSnapshot(server, `s912-${index}`, source);
  });
  const ids = await Promise.all(work);
  await server.ok('DeleteVolume', { volume_id: source });
  expect(site.problems()).toEqual([]);
  const even = ids.filter((_, index) => index % 2 === 0);
  const odd = ids.filter((_, index) => index % 2 === 1);
  await Promise.all([remove(server, { volumes: even }), remove(server, { snapshots: odd })]);
  // A tombstone that was just being redirected goes after that, from the queue.
  await expect.poll(() => filesOnDisk(site.root), { timeout: 60_000 }).toEqual([]);
});

test('22: 20 volumes of different names are made side by side', async () => {
  await site.set({ latencyMs: 400 });
  const creating = () =>
    recordsOnDisk(site.root, 'volumes').filter(({ state }) => state === 'creating').length;
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, creating())), 5);
  const parameters = { dataReplicas: '1' };
  const answers = await Promise.all(
    twenty.map((index) =>
      server.call('CreateVolume', { ...volumeRequest(`v22-${index}`), parameters }),
    ),
  );
  clearInterval(watch);
  await site.set({ latencyMs: 0 });
  expect(answers.map(({ code }) => code)).toEqual(twenty.map(() => 'OK'));
  expect(most).toBeGreaterThanOrEqual(12);
  const ids = answers.map(({ reply }) => reply.volume?.volume_id ?? '');
  expect(new Set(ids).size).toBe(20);
  await Promise.all(ids.map((volume_id) => server.ok('DeleteVolume', { volume_id })));
});
