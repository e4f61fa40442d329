import { expect, test } from 'vitest';
import {
  compare,
  knownContents,
  filesIn,
  orphansText,
  knownVolumes,
  type OwnFile,
} from '../../../../src/cli/kubectl/orphans.ts';
import { lastEvents, nodeToAsk, podsUsing } from '../../../../src/cli/kubectl/join.ts';

const driver = 'gpfs-clone.csi';
const hour = 3_600_000;
const file = (handle: string, rest: Partial<OwnFile> = {}): OwnFile => ({
  handle,
  kind: 'volume',
  name: handle,
  root: '/gpfs/fs1/csi',
  createdMs: 0,
  leaving: false,
  ...rest,
});
const pv = (name: string, volumeHandle: string, of = driver) => ({
  metadata: { name },
  spec: { csi: { driver: of, volumeHandle } },
});
const list = (...items: readonly unknown[]) => ({ items });

test('each side without the other is found, and drivers and damaged objects of others are left out', () => {
  const volumes = knownVolumes(
    list(pv('a', 'r1.a'), pv('gone', 'r1.gone'), pv('x', 'r1.x', 'other'), { metadata: 7 }),
    driver,
  );
  const contents = knownContents(
    list(
      { metadata: { name: 'c1' }, spec: { driver }, status: { snapshotHandle: 'r1.s1' } },
      { metadata: { name: 'c2' }, spec: { driver, source: { snapshotHandle: 'r1.s2' } } },
      { metadata: { name: 'c3' }, spec: { driver, source: { volumeHandle: 'r1.a' } } },
    ),
    driver,
  );
  const files = [
    file('r1.a'),
    file('r1.b'),
    file('r1.s1', { kind: 'snapshot' }),
    file('r1.s3', { kind: 'snapshot' }),
  ];
  const found = compare({ volumes, contents, files }, hour);
  expect(found.volumesMissing.map(({ name }) => name)).toEqual(['gone']);
  expect(found.volumesUnknown.map(({ handle }) => handle)).toEqual(['r1.b']);
  expect(found.snapshotsMissing.map(({ name }) => name)).toEqual(['c2']);
  expect(found.snapshotsUnknown.map(({ handle }) => handle)).toEqual(['r1.s3']);
  const text = orphansText(found, hour).join('\n');
  expect(text).not.toMatch(/\b(?:delete it|remove it|rm |kubectl delete)/);
});

test('a volume that moved, is young or is being deleted is no orphan', () => {
  const volumes = knownVolumes(list(pv('moved', 'old.m'), pv('going', 'r1.going')), driver);
  const files = [
    file('new.m'),
    file('r1.young', { createdMs: hour - 1000 }),
    file('r1.going', { leaving: true }),
    file('r1.left', { leaving: true }),
  ];
  const found = compare({ volumes, contents: undefined, files }, hour);
  expect(found).toEqual({
    volumesMissing: [],
    snapshotsMissing: [],
    volumesUnknown: [],
    snapshotsUnknown: [],
    young: 1,
  });
  expect(orphansText(found, hour)[0]).toBe('nothing is without its counterpart');
});

test('without objects of snapshots in the cluster, no snapshot counts as an orphan', () => {
  const files = [file('r1.s', { kind: 'snapshot' })];
  expect(compare({ volumes: [], contents: undefined, files }, hour).snapshotsUnknown).toEqual([]);
});

test('what a pod prints instead of a tree is refused', () => {
  expect(() => filesIn('{"roots":[{"path":7}]}')).toThrow();
  expect(
    filesIn(
      '{"roots":[{"path":"/r","id":"r1","files":[{"id":"r1.a","kind":"volume","name":"a","createdMs":1},{"kind":"hidden parent","name":"of a","createdMs":1}]}]}',
    ),
  ).toEqual([file('r1.a', { name: 'a', root: '/r', createdMs: 1 })]);
});

test('pods of a claim are found by its name, and by that of an ephemeral volume', () => {
  const podWith = (name: string, volume: object) => ({
    metadata: { name },
    spec: { nodeName: 'a1', volumes: [{ name: 'v', ...volume }] },
  });
  const pods = list(
    podWith('one', { persistentVolumeClaim: { claimName: 'data' } }),
    podWith('two', { ephemeral: {} }),
    podWith('three', { emptyDir: {} }),
  );
  expect(podsUsing(pods, 'data').map(({ metadata }) => metadata.name)).toEqual(['one']);
  expect(podsUsing(pods, 'two-v').map(({ metadata }) => metadata.name)).toEqual(['two']);
  const facts = { claim: undefined, volume: undefined, attachments: [], events: [] };
  expect(nodeToAsk({ ...facts, pods: podsUsing(pods, 'data') })).toBe('a1');
});

test('the last events are kept, in the order of their time', () => {
  const at = (lastTimestamp: string) => ({ lastTimestamp, reason: lastTimestamp });
  const events = list(
    at('2026-11-28T22:00:03Z'),
    at('2026-11-28T22:00:01Z'),
    at('2026-11-28T22:00:02Z'),
  );
  expect(lastEvents(events, 2).map(({ reason }) => reason)).toEqual([
    '2026-11-28T22:00:02Z',
    '2026-11-28T22:00:03Z',
  ]);
});
