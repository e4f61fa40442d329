import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import {
  asBlock,
  fromSnapshot,
  fromVolume,
  mib,
  newSnapshot,
  newVolume,
  remove,
  volumeRequest,
} from '../../support/disk/csi.ts';
import type { RealServer } from '../../support/disk/real-server.ts';
import { realSite } from '../../support/disk/real-site.ts';
import { filesOnDisk, imageOnDisk, recordsOnDisk } from '../../support/disk/real-truth.ts';

const site = await realSite();
let server = await site.serve();

afterEach(() => site.set({ latencyMs: 0 }));

/** What six operations begin from. */
interface Ground {
  readonly mark: string;
  readonly sources: readonly string[];
  readonly snapshot: string;
  readonly doomed: readonly [volume: string, snapshot: string];
}

async function prepare(mark: string): Promise<Ground> {
  const names = ['snapped', 'restored', 'cloned', 'grown', 'doomed'];
  const sources = await Promise.all(
    names.map((name) => newVolume(server, `${mark}-${name}`, { mib: 8 })),
  );
  for (const id of sources) await write(id, `text of ${id}`);
  const [, restored = '', , , doomed = ''] = sources;
  const snapshot = await newSnapshot(server, `${mark}-kept`, restored);
  return {
    mark,
    sources,
    snapshot,
    doomed: [doomed, await newSnapshot(server, `${mark}-lost`, doomed)],
  };
}

/** As a node would that has it attached. */
async function write(volume_id: string, text: string): Promise<void> {
  const where = { volume_id, node_id: server.node };
  await server.ok('ControllerPublishVolume', { ...where, volume_capability: asBlock() });
  {
    await using file = await open(imageOnDisk(site.root, volume_id), 'r+');
    await file.write(text.padEnd(4096));
  }
  await server.ok('ControllerUnpublishVolume', where);
}

const textOf = async (id: string) =>
  (await readFile(imageOnDisk(site.root, id))).subarray(0, 4096).toString().trim();

type Attempt = (on: RealServer) => Promise<string>;

/** Create, snapshot, restore, clone, expand and the two deletions, each as a sidecar would ask. */
function operations({ mark, sources, snapshot, doomed }: Ground): readonly Attempt[] {
  const [snapped = '', , cloned = '', grown = ''] = sources;
  const create = { ...volumeRequest(`${mark}-new`, { mib: 8 }), parameters: { dataReplicas: '1' } };
  const range = { volume_id: grown, capacity_range: mib(16) };
  return [
    async (on) => (await on.ok('CreateVolume', create)).volume?.volume_id ?? '',
    (on) => newSnapshot(on, `${mark}-snap`, snapped),
    (on) => newVolume(on, `${mark}-restore`, { from: fromSnapshot(snapshot) }),
    (on) => newVolume(on, `${mark}-clone`, { from: fromVolume(cloned) }),
    async (on) => (await on.ok('ControllerExpandVolume', range)).capacity_bytes,
    (on) => remove(on, { volumes: [doomed[0]] }).then(() => 'gone'),
    (on) => remove(on, { snapshots: [doomed[1]] }).then(() => 'gone'),
  ];
}

/** Kills the server at a moment of all these operations, starts it again, and asks once more. */
async function killed(mark: string, moment: (ground: Ground) => Promise<void>): Promise<void> {
  const ground = await prepare(mark);
  const attempts = operations(ground);
  const first = Promise.allSettled(attempts.map((attempt) => attempt(server)));
  await moment(ground);
  expect(await server.end('SIGKILL')).toBeNull();
  const before = (await first).map((each) =>
    each.status === 'fulfilled' ? each.value : undefined,
  );
  await site.quiet();
  server = await site.serve();
  const after = await Promise.all(attempts.map((attempt) => attempt(server)));
  expect(after).toEqual(after.map((value, index) => before[index] ?? value));
  // What hidden parents are left is looked for in the background.
  await expect.poll(() => site.problems(), { timeout: 10_000 }).toEqual([]);
  await expectData(ground, after);
  await clean(ground, after);
}

async function expectData({ sources, doomed }: Ground, made: readonly string[]): Promise<void> {
  const [, restored = '', cloned = '', grown = ''] = sources;
  const [, , restore = '', clone = ''] = made;
  for (const id of sources.filter((each) => each !== doomed[0]))
    expect(await textOf(id)).toBe(`text of ${id}`);
  expect(await textOf(restore)).toBe(`text of ${restored}`);
  expect(await textOf(clone)).toBe(`text of ${cloned}`);
  const { volume } = await server.ok('ControllerGetVolume', { volume_id: grown });
  expect(volume?.capacity_bytes).toBe(String(16 * 1024 * 1024));
}

async function clean({ sources, snapshot }: Ground, made: readonly string[]): Promise<void> {
  const [created = '', snap = '', restore = '', clone = ''] = made;
  await remove(server, {
    volumes: [...sources, created, restore, clone],
    snapshots: [snapshot, snap],
  });
  expect(filesOnDisk(site.root)).toEqual([]);
}

/** Looks at the disk until it is so. */
async function until(seen: () => boolean): Promise<void> {
  while (!seen()) await new Promise((resolve) => setImmediate(resolve));
}

const claims = (op: string) =>
  recordsOnDisk(site.root, 'volumes').some(({ claim }) => claim?.op === op);

describe('30: a server that is killed in the middle of everything', () => {
  test.each([3, 45, 130])('after %i ms', (ms) => killed(`t${ms}`, () => sleep(ms)));

  test.each(['snapshot', 'expand', 'delete'])('at the first claim to %s', (op) =>
    killed(`c-${op}`, () => until(() => claims(op))),
  );

  test('while the commands run', () =>
    killed('running', async () => {
      await site.set({ latencyMs: 300 });
      await until(() => site.commands().length >= 3);
      await site.set({ latencyMs: 0 });
    }));

  test('when the file of a snapshot is there', () =>
    killed('cut', () =>
      until(() => filesOnDisk(site.root, 'snapshots').some((path) => path.includes('/cut-snap.'))),
    ));

  test('when the first hidden parent is there', () =>
    killed('hidden', () => until(() => filesOnDisk(site.root, 'hidden').length > 0)));
});
