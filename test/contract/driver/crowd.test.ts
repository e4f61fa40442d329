import { expect, test } from 'vitest';
import {
  asMount,
  fromSnapshot,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  use,
  volumeRequest,
} from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

// Many requests for one volume at once, sent once each: no caller has to ask a second time.

const site = await realSite();
const a = await site.serve('a1');
const b = await site.serve('b1');
const count = 20;
const numbers = Array.from({ length: count }, (_, index) => index);

/** Sends the requests at once, each to the server that it names; resolves to the codes, and to the ids. */
async function crowd(
  prefix: string,
  send: (name: string, at: number) => Promise<{ readonly code: string; readonly details: string }>,
  which = numbers,
): Promise<readonly string[]> {
  const answers = await Promise.all(which.map((at) => send(`${prefix}-${at}`, at)));
  return answers.map(({ code, details }) => `${code} ${details}`.trim());
}

const clone = (server: RealServer, name: string, source: string) =>
  server.call(
    'CreateVolume',
    volumeRequest(name, { from: fromVolume(source), capability: asMount() }),
  );

const cut = (server: RealServer, name: string, source: string) =>
  server.call('CreateSnapshot', { name, source_volume_id: source });

const depthOf = (id: string): number | undefined =>
  recordsOnDisk(site.root, 'volumes').find((record) => id.endsWith(`.${record.id}`))?.depth;

/** Every id that a crowd made, of the root that the source is in. */
const made = (prefix: string, source: string): readonly string[] =>
  numbers.map((at) => `${source.slice(0, source.indexOf('.'))}.${prefix}-${at}`);

test('20 clones of a mounted volume are one cut, one level and 20 answers', async () => {
  const source = await newVolume(a, 'mounted', { capability: asMount(), mib: 300 });
  const used = await use(site, a, source);
  expect(await crowd('clone', (name) => clone(a, name, source))).toEqual(numbers.map(() => 'OK'));
  expect(filesOnDisk(site.root, 'hidden')).toHaveLength(1);
  expect(depthOf(source)).toBe(1);
  expect(site.problems()).toEqual([]);
  await used.release();
  await remove(a, { volumes: [source, ...made('clone', source)] });
});

test('20 clones through two servers are two cuts at most', async () => {
  const source = await newVolume(a, 'both', { capability: asMount(), mib: 300 });
  const used = await use(site, a, source);
  const codes = await crowd('of-both', (name, at) => clone(at % 2 === 0 ? a : b, name, source));
  expect(codes).toEqual(numbers.map(() => 'OK'));
  expect(filesOnDisk(site.root, 'hidden').length).toBeLessThanOrEqual(2);
  expect(site.problems()).toEqual([]);
  await used.release();
  await remove(a, { volumes: [source, ...made('of-both', source)] });
});

test('20 restores of one snapshot are 20 answers', async () => {
  const source = await newVolume(a, 'restored');
  const snapshot = await newSnapshot(a, 'of-restored', source);
  const request = (name: string) => volumeRequest(name, { from: fromSnapshot(snapshot) });
  const restore = (name: string, at: number) =>
    (at % 2 === 0 ? a : b).call('CreateVolume', request(name));
  expect(await crowd('restore', restore)).toEqual(numbers.map(() => 'OK'));
  await remove(a, { volumes: [source, ...made('restore', source)], snapshots: [snapshot] });
});

test('10 snapshots of one volume through two servers are 10 answers', async () => {
  const source = await newVolume(a, 'snapped');
  const ten = numbers.slice(0, 10);
  const codes = await crowd('snap', (name, at) => cut(at % 2 === 0 ? a : b, name, source), ten);
  expect(codes).toEqual(ten.map(() => 'OK'));
  expect(site.problems()).toEqual([]);
  await remove(a, { volumes: [source], snapshots: made('snap', source).slice(0, 10) });
});

test('snapshots, clones, expansions and publications of one volume wait for each other', async () => {
  const source = await newVolume(a, 'mixed');
  const send = (name: string, at: number) => {
    const server = at % 2 === 0 ? a : b;
    const kinds = [
      () => clone(server, name, source),
      () => cut(server, name, source),
      () =>
        server.call('ControllerExpandVolume', {
          volume_id: source,
          capacity_range: mib(64 + at),
        }),
      () => server.call('ControllerUnpublishVolume', { volume_id: source, node_id: 'a1' }),
    ];
    return (kinds[Math.floor(at / 2) % kinds.length] ?? cut)(server, name, source);
  };
  const codes = await crowd('mixed', send, numbers.slice(0, 12));
  expect(codes.filter((code) => code !== 'OK' && !code.startsWith('OUT_OF_RANGE'))).toEqual([]);
  expect(site.problems()).toEqual([]);
  const rest = made('mixed', source);
  await remove(a, { volumes: [source, ...rest], snapshots: rest });
  expect(filesOnDisk(site.root)).toEqual([]);
});
