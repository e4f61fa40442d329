import { describe, expect, test } from 'vitest';
import { historyLines } from '../../../src/cli/command/history-lines.ts';
import { findObjects } from '../../../src/service/finder/find.ts';
import { readHistory, type Operation } from '../../../src/service/history.ts';
import { attach } from '../../support/memory/world.ts';
import { clusterWithRoot, serverOn, snap, spec, testRoot } from '../../support/memory/driver.ts';

const named = {
  'csi.storage.k8s.io/pvc/namespace': 'data',
  'csi.storage.k8s.io/pvc/name': 'db',
};

const all = {
  sinceMs: 0,
  most: 100,
  onUnreadable: (error: Error) => {
    throw error;
  },
};

/** A volume with a claim's name and a snapshot of it, and a volume that is deleted, a minute apart each. */
async function world() {
  const gpfs = await clusterWithRoot();
  const { volumes, snapshots, attachments, roots } = serverOn(gpfs);
  const store = await roots.byPath(testRoot);
  const minute = (): void => {
    gpfs.clock.tick(60_000);
  };
  const { id } = await volumes.create(spec('pvc-1', { parameters: named }));
  minute();
  await snapshots.create(snap('s', { id }));
  minute();
  const other = await volumes.create(spec('pvc-2'));
  await volumes.remove(other.id);
  minute();
  await attachments.publish(attach(id));
  const history = (query: Partial<Parameters<typeof readHistory>[1]> = {}) =>
    readHistory(store, { ...all, nowMs: gpfs.clock.now(), ...query });
  return { gpfs, store, history };
}

const short = (operations: readonly Operation[]) =>
  operations.map(({ what, kind, name, outcome }) => `${what} ${kind} ${name} ${outcome}`);

const whole = [
  'create volume pvc-1 done',
  'snapshot volume pvc-1 done',
  'snapshot snapshot s done',
  'create volume pvc-2 done',
  'delete volume pvc-2 done',
  'attach volume pvc-1 done',
];

describe('the history of a root', () => {
  test('is that of all its records in order of time, with the deleted ones', async () => {
    const { history } = await world();
    const { operations, leftOut } = await history();
    expect(short(operations).toSorted()).toEqual(whole.toSorted());
    expect(operations.map(({ atMs }) => atMs)).toEqual(
      operations.map(({ atMs }) => atMs).toSorted(),
    );
    expect(leftOut).toBe(0);
  });

  test('holds what ended since a moment, or the latest, and says how many it leaves out', async () => {
    const { history, gpfs } = await world();
    const recent = await history({ sinceMs: gpfs.clock.now() - 61_000 });
    expect(short(recent.operations).toSorted()).toEqual(whole.slice(3).toSorted());
    for (const most of [1, 2, 5]) {
      const { operations, leftOut } = await history({ most });
      expect(operations).toHaveLength(most);
      expect(leftOut).toBe(whole.length - most);
      expect(operations.at(-1)).toMatchObject({ what: 'attach' });
    }
  });

  test('shows what is under way, and not what was given up', async () => {
    const { history, store, gpfs } = await world();
    const claim = {
      op: 'expand' as const,
      node: 'b1',
      instance: 'i',
      boot: 'b',
      nonce: 'n',
      sinceMs: gpfs.clock.now() - 5_000,
      released: false,
      bytes: 1n << 30n,
    };
    await store.volumes.update('pvc-1', (now) => ({ ...now, claim }));
    const running = {
      what: 'expand',
      about: '1 GiB',
      outcome: 'running',
      node: 'b1',
      tookMs: 5_000,
    };
    expect((await history()).operations).toContainEqual(expect.objectContaining(running));
    await store.volumes.update('pvc-1', (now) => ({ ...now, claim: { ...claim, released: true } }));
    const after = (await history()).operations.filter(({ what }) => what === 'expand');
    expect(after).toEqual([expect.objectContaining({ ...running, outcome: 'released' })]);
  });
});

test('of one object holds nothing of the others', async () => {
  const { store, history } = await world();
  const { objects } = await findObjects([store], 'data/db');
  const { operations } = await history({ of: objects });
  expect(short(operations)).toEqual(whole.filter((each) => each.includes('volume pvc-1')));
});

test('a line names the claim, and what a record holds cannot move the cursor', async () => {
  const { history, store } = await world();
  const hostile = {
    what: 'create',
    atMs: 0,
    tookMs: 1234,
    node: 'a\u001b[2J',
    outcome: 'failed',
    why: 'two\nlines',
  };
  const held = await store.volumes.read('pvc-1');
  if (!held) throw new Error('there is no volume');
  const value = { ...held.value, history: [hostile] };
  await store.volumes.swap('pvc-1', { ...held, value }, value);
  const lines = historyLines(
    (await history({ of: (await findObjects([store], 'pvc-1')).objects })).operations,
  );
  expect(lines).toEqual([
    'BEGAN                 TOOK   WHAT    NODE        OBJECT          OUTCOME',
    '1970-01-01T00:00:00Z  1.2 s  create  a\\u{1b}[2J  volume data/db  failed: two\\u{a}lines',
  ]);
});
