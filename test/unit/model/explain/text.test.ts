import { describe, expect, test } from 'vitest';
import { adviceFor } from '../../../../src/model/explain/advice.ts';
import type { DeviceFacts, ObjectFacts } from '../../../../src/model/explain/facts.ts';
import { choicesText, explanationText } from '../../../../src/model/explain/text.ts';

const nowMs = 10_000_000;
const volume: ObjectFacts = {
  kind: 'volume',
  kubernetes: { namespace: 'app', name: 'data' },
  name: 'pvc-1',
  handle: '0a1b2c3d.pvc-1',
  root: { path: '/gpfs/fs1/csi', id: '0a1b2c3d' },
  record: {
    path: '/gpfs/fs1/csi/.gpfs-csi/records/volumes/023/pvc-1.7',
    version: 7,
    state: 'ready',
  },
  createdMs: nowMs - 3_600_000,
  bytes: 1024 ** 3,
  file: { path: '/gpfs/v', key: 'pvc-1.1-ab', inode: '7', inodeFound: '7', heldBytes: 4096 },
  attachments: [],
  marks: [],
  claims: [],
  barred: [],
  queue: [],
  history: [],
};
const device: DeviceFacts = {
  path: '/dev/loop3',
  file: '/gpfs/v',
  recorded: true,
  current: true,
  directIo: true,
  readonly: false,
  sectorBytes: 4096,
  bytes: 1024 ** 3,
  counters: {
    reads: 2,
    readBytes: 8192,
    readMs: 3,
    writes: 0,
    writtenBytes: 0,
    writeMs: 0,
    inFlight: 0,
  },
};
const withDevice = (change: Partial<DeviceFacts>): ObjectFacts => ({
  ...volume,
  here: {
    recordPath: '/r',
    staged: true,
    stagingPath: '/s',
    generation: 'pvc-1.1-ab',
    devices: [{ ...device, ...change }],
    mounts: [],
    pods: [],
  },
});
const attached = {
  node: 'b1',
  sinceMs: 0,
  state: 'ready',
  access: 'block',
  readonly: false,
} as const;
const claim = { op: 'create', node: 'b1', sinceMs: 0 } as const;
const advice = (change: Partial<ObjectFacts>) =>
  adviceFor({ ...volume, ...change }, { node: 'a1' });

describe('advice', () => {
  test('none without a reason', () => {
    expect(advice({})).toEqual([]);
    expect(adviceFor(withDevice({}), { node: 'a1' })).toEqual([]);
    expect(advice({ claims: [{ ...claim, server: 'alive' }] })).toEqual([]);
    expect(advice({ marks: [{ node: 'b1', sinceMs: 0, dead: true }] })).toEqual([]);
    const undone = { what: 'attach', atMs: 0, tookMs: 0, node: 'a1', outcome: 'done' };
    expect(advice({ history: [undone] })).toEqual([]);
  });

  test.each<[Partial<ObjectFacts>, RegExp]>([
    [{ file: { path: '/gpfs/v', key: 'k', inode: '7' } }, /file of this volume is missing/],
    [{ file: { path: '/gpfs/v', key: 'k', inode: '7', inodeFound: '8' } }, /inode 8 instead of 7/],
    [{ attachments: [{ ...attached, alive: true }] }, /known on node b1 alone/],
    [{ attachments: [{ ...attached, node: 'a1', alive: false }] }, /writes no heartbeat/],
    [{ marks: [{ node: 'b1', sinceMs: 0, dead: false }] }, /node b1 may still have the file open/],
    [{ claims: [{ ...claim, server: 'silent' }] }, /create of node b1 stands still/],
    [{ claims: [{ ...claim, server: 'gone' }] }, /the next request for this object ends it/],
    [
      {
        history: [
          { what: 'expand', atMs: 0, tookMs: 0, node: 'a1', outcome: 'failed', why: 'no space' },
        ],
      },
      /the last expand did not succeed: no space/,
    ],
    [withDevice({ current: false }), /this node was cut off/],
    [withDevice({ recorded: false }), /the driver did not attach/],
    [withDevice({ directIo: false }), /without direct I\/O/],
  ])('%j has one', (change, words) => {
    expect(advice(change)).toEqual([expect.stringMatching(words)]);
  });
});

describe('the screen', () => {
  const said = { version: 1, word: 'data', node: 'a1', onlyHere: [], problems: [] } as const;

  test('names what runs with its progress, and what waits', () => {
    const filling = {
      ...claim,
      server: 'alive',
      doneBytes: 1024 ** 2,
      ofBytes: 2 * 1024 ** 2,
    } as const;
    const object: ObjectFacts = {
      ...withDevice({}),
      claims: [filling],
      queue: [{ state: 'put off', why: 'a node has it open', tries: 2, untilMs: 0 }],
    };
    const text = explanationText({ ...said, objects: [object] }, nowMs);
    expect(text).toMatch(
      /running +create by node b1 since 2h, 1 MiB of 2 MiB, its server is alive/,
    );
    expect(text).toMatch(/on the queue +put off after 2 tries: a node has it open/);
    expect(text).toMatch(/2 reads \(8 KiB, 1\.5 ms each\); no writes; 0 in flight/);
  });

  test('writes no control character that a name holds', () => {
    const odd: ObjectFacts = { ...volume, name: 'a\u001b[31m\nb' };
    const text = explanationText({ ...said, objects: [odd], problems: ['x'] }, nowMs);
    expect(text).toContain('a\\u{1b}[31m\\u{a}b');
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(text).toMatch(/could not be read\n {2}- x$/);
  });

  test('lists several objects, each with its word', () => {
    const other: ObjectFacts = { ...volume, kind: 'golden image', handle: '0a1b2c3d.image-data' };
    expect(choicesText({ ...said, objects: [volume, other] }).split('\n')).toEqual([
      '"data" names 2 objects; ask for one of them by the word in front:',
      '  volume:0a1b2c3d.pvc-1  volume app/data in /gpfs/fs1/csi',
      '  snapshot:0a1b2c3d.image-data  golden image app/data in /gpfs/fs1/csi',
    ]);
  });
});
