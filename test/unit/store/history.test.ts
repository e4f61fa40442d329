import { describe, expect, test } from 'vitest';
import { withHiding } from '../../../src/observe/context.ts';
import type { Files } from '../../../src/run/files.ts';
import { historyOf } from '../../../src/store/history.ts';
import { badFilesOf } from '../../../src/store/json.ts';
import { layoutOf } from '../../../src/store/layout.ts';
import { recordsOf } from '../../../src/store/records.ts';
import { mostEntries, type HistoryEntry } from '../../../src/store/schema/history.ts';
import { goneAfterMs } from '../../../src/store/nodes.ts';
import { volumeRecord } from '../../../src/store/schema/volume.ts';
import { mmFails } from '../../support/memory/breaking.ts';
import {
  block,
  clusterWithRoot,
  serverOn,
  snap,
  spec,
  testRoot,
} from '../../support/memory/driver.ts';
import { fenceWorld } from '../../support/memory/fencing.ts';
import { attach } from '../../support/memory/world.ts';

// What a record says of the operations on it.

async function world() {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs);
  const [store] = await driver.roots.all();
  if (!store) throw new Error('there is no root');
  const entries = async (id: string) => (await store.volumes.read(id))?.value.history ?? [];
  return { gpfs, driver, store, entries };
}

/** An entry in a few words. */
const short = ({ what, node, outcome, about = '' }: HistoryEntry): string =>
  `${what} ${about} ${outcome} by ${node}`.replace('  ', ' ');

const expand = (driver: Awaited<ReturnType<typeof world>>['driver'], id: string, mib: bigint) =>
  driver.volumes.expand(id, { requiredBytes: mib << 20n, limitBytes: 0n }, block());

test('a record keeps each operation on it, in order, with its server, its time and its outcome', async () => {
  const { gpfs, driver, store, entries } = await world();
  const begun = gpfs.clock.now();
  const { id } = await driver.volumes.create(spec('v'));
  await driver.attachments.publish(attach(id));
  await driver.attachments.unpublish(id, 'a1');
  const { id: snapshot } = await driver.snapshots.create(snap('s', { id }));
  await expand(driver, id, 128n);
  await driver.snapshots.remove(snapshot);
  await driver.volumes.remove(id);
  const all = await entries('v');
  expect(all.map(short)).toEqual([
    'create 64 MiB done by a1',
    'attach a1 done by a1',
    'detach a1 done by a1',
    'snapshot s done by a1',
    'expand 128 MiB done by a1',
    'delete done by a1',
  ]);
  for (const { atMs, tookMs, why } of all) {
    expect(atMs).toBeGreaterThanOrEqual(begun);
    expect(atMs + tookMs).toBeLessThanOrEqual(gpfs.clock.now());
    expect(why).toBeUndefined();
  }
  const ofSnapshot = (await store.snapshots.read('s'))?.value.history ?? [];
  expect(ofSnapshot.map(short)).toEqual(['snapshot 64 MiB done by a1', 'delete done by a1']);
});

test('the last entries stay, and the first go', async () => {
  const { driver, entries } = await world();
  const { id } = await driver.volumes.create(spec('v'));
  for (let n = 0; n < mostEntries; n++) {
    await driver.attachments.publish(attach(id));
    await driver.attachments.unpublish(id, 'a1');
  }
  const all = await entries('v');
  expect(all).toHaveLength(mostEntries);
  expect(new Set(all.map(({ what }) => what))).toEqual(new Set(['attach', 'detach']));
});

test('an operation that failed says why, without the secrets of its request', async () => {
  const { gpfs, driver, entries, store } = await world();
  const { id } = await driver.volumes.create(spec('v'));
  const broken = serverOn({ ...gpfs, run: mmFails(gpfs.run, 'mmclone') });
  const asked = () => broken.snapshots.create(snap('s', { id }));
  const hide = (text: string) => text.replaceAll('mmclone', '***');
  await expect(withHiding(hide, asked)).rejects.toThrow('mmclone');
  const undone = {
    what: 'snapshot',
    outcome: 'undone',
    why: expect.stringContaining('***') as string,
  };
  expect((await entries('v')).at(-1)).toMatchObject({ ...undone, about: 's' });
  const { history = [] } = (await store.snapshots.read('s'))?.value ?? {};
  expect(history).toEqual([expect.objectContaining(undone)]);
  expect(JSON.stringify([await entries('v'), history])).not.toContain('mmclone');
});

test('work that one server leaves and another ends has an entry of each of them', async () => {
  const seen = new Set<string>();
  for (let call = 1; call < 60; call += 3) {
    const { gpfs, driver, entries } = await world();
    const { id } = await driver.volumes.create(spec('v'));
    const b1 = serverOn(gpfs.server('b1'), 'b1');
    await b1.roots.all();
    gpfs.server('b1').crashAt(call, 'after');
    await b1.snapshots.create(snap('s', { id })).catch(() => undefined);
    gpfs.clock.tick(goneAfterMs + 1);
    await driver.snapshots.create(snap('s', { id }));
    seen.add((await entries('v')).slice(1).map(short).join(', '));
  }
  expect(seen).toContain(
    'snapshot s taken over by b1, snapshot s undone by a1, snapshot s done by a1',
  );
  expect(seen).toContain('snapshot s taken over by b1, snapshot s done by a1');
});

test('a fence, and the attachment that waited for it', async () => {
  const { mark, publish, store } = await fenceWorld();
  await mark('lost1');
  await publish();
  const { history = [] } = (await store.volumes.read('v'))?.value ?? {};
  expect(history.map(short)).toEqual([
    'create 64 MiB done by a1',
    'attach a1 done by a1',
    'fence done by a1',
  ]);
});

test('a new volume with the id of a deleted one begins its own history', async () => {
  const { driver, entries } = await world();
  const { id } = await driver.volumes.create(spec('v'));
  await driver.volumes.remove(id);
  await driver.volumes.create(spec('v'));
  expect((await entries('v')).map(short)).toEqual(['create 64 MiB done by a1']);
});

describe('a history decides nothing', () => {
  test('so that a damaged one is left out, and the record stays readable', () => {
    const damaged = ['many', [{ what: 1 }], Array<unknown>(mostEntries + 1).fill(entry)];
    for (const history of damaged)
      expect(volumeRecord.parse({ ...written, history }).history).toBeUndefined();
  });

  test('and a word of a later version is kept', () => {
    const later = { ...entry, what: 'shrink', by: 'hand' };
    expect(volumeRecord.parse({ ...written, history: [later] }).history).toEqual([later]);
  });
});

test('costs no write: the calls are those of records without history', async () => {
  const calls = async (history: ReturnType<typeof historyOf> | undefined) => {
    const gpfs = await clusterWithRoot();
    const layout = layoutOf(testRoot);
    for (const directory of layout.fixed) await gpfs.files.makeDirectory(directory, 0o750);
    const { files, called } = listening(gpfs.files);
    const records = recordsOf({
      files,
      unguarded: files,
      nonce: gpfs.nonce,
      layout,
      kind: 'volumes',
      schema: volumeRecord,
      check: () => Promise.resolve(),
      bad: badFilesOf(testRoot),
      history,
    });
    const claim = { ...claimed, sinceMs: gpfs.clock.now() };
    const first = await records.swap(
      'v',
      undefined,
      { ...record, state: 'creating', claim },
      'name',
    );
    const second = await records.swap('v', first, { ...first.value, state: 'ready', claim: null });
    await records.update('v', (now) => ({ ...now, state: 'deleted' }), 'name', second);
    return { called, last: await records.read('v') };
  };
  const without = await calls(undefined);
  const { clock } = await clusterWithRoot();
  const kept = await calls(historyOf(clock, { node: 'a1' }));
  expect(kept.called).toEqual(without.called);
  expect(kept.last?.value.history?.map(({ what }) => what)).toEqual(['create', 'delete']);
  expect(without.last?.value.history).toBeUndefined();
});

const entry = { what: 'create', atMs: 1, tookMs: 1, node: 'a1', outcome: 'done' };

const claimed = {
  op: 'create',
  node: 'a1',
  instance: 'i',
  boot: 'b',
  nonce: 'n',
  sinceMs: 0,
  released: false,
} as const;

/** A record as it lies in its file. */
const written = {
  format: 1,
  id: 'v',
  name: 'v',
  state: 'ready',
  bytes: '1048576',
  asked: { requiredBytes: '0', limitBytes: '0', capabilities: [], parameters: {}, source: null },
  attributes: {},
  image: null,
  parent: null,
  content: { kind: 'empty' },
  unchanged: true,
  attachments: [],
  createdMs: 0,
  claim: null,
};

const record = volumeRecord.parse(written);

/** The same files, and the names of all calls. */
function listening(files: Files) {
  const called: string[] = [];
  const wrapped = Object.fromEntries(
    Object.entries(files).map(([name, call]: [string, (...given: unknown[]) => unknown]) => [
      name,
      (...given: unknown[]) => {
        called.push(name);
        return call(...given);
      },
    ]),
  );
  return { called, files: wrapped as unknown as Files };
}
