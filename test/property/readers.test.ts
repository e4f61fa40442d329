import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { gpfsCommands } from '../../src/gpfs/commands.ts';
import { parseProbe } from '../../src/linux/blkid.ts';
import { parseXfsGrowfs } from '../../src/linux/growfs.ts';
import { parseListed } from '../../src/linux/losetup.ts';
import { allocatedOf, information, parseImage, tables } from '../../src/linux/qemu-img.ts';
import { DriverError } from '../../src/model/fault.ts';
import { readQcow2 } from '../../src/model/qcow2.ts';
import { sectorBytesOf } from '../../src/model/sectors.ts';
import { superblockOf, superblocksIn } from '../../src/model/superblock.ts';
import { fromText, toText } from '../../src/store/json.ts';
import { snapshotRecord } from '../../src/store/schema/parents.ts';
import { nodeFile, rootFile } from '../../src/store/schema/root.ts';
import { volumeRecord } from '../../src/store/schema/volume.ts';
import { realHeads } from '../support/disk/heads.ts';
import { clusterWithRoot, serverOn, snap, spec } from '../support/memory/driver.ts';

const runs = Number(process.env['RUNS'] ?? 250);

/** What one case may cost; with a shift of 2^30 bits it is seconds and 128 MiB. */
const mostCpuMs = 1000;
const mostGrowth = 192 * 1024 * 1024;

/** The largest numbers that a reader may hand on: what 64 bits hold, and the last day of JavaScript. */
const mostWhole = 10n ** 20n;
const mostNumber = 8.64e15;

const isBounded = (value: unknown): boolean =>
  typeof value === 'bigint'
    ? value >= 0n && value <= mostWhole
    : typeof value !== 'number' || Math.abs(value) <= mostNumber;

function expectBounded(value: unknown): void {
  expect(isBounded(value), String(value)).toBe(true);
  if (typeof value !== 'object' || value === null) return;
  for (const each of value instanceof Map ? value.values() : Object.values(value))
    expectBounded(each);
}

/** Reads each input: the answer is bounded, or an error that callers understand, within time and memory. */
async function readAll<Input>(
  inputs: fc.Arbitrary<Input>,
  read: (input: Input) => unknown,
): Promise<void> {
  const before = process.memoryUsage().rss;
  await fc.assert(
    fc.asyncProperty(inputs, async (input) => {
      const start = process.cpuUsage();
      try {
        expectBounded(await read(input));
      } catch (error) {
        if (!(error instanceof DriverError)) throw error;
      }
      const { user, system } = process.cpuUsage(start);
      expect((user + system) / 1000).toBeLessThan(mostCpuMs);
    }),
    { numRuns: runs },
  );
  expect(process.memoryUsage().rss - before).toBeLessThan(mostGrowth);
}

const extremes = [
  0n,
  1n,
  7n,
  31n,
  63n,
  64n,
  1_073_741_000n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
];
const numbers = fc.oneof(
  fc.constantFrom(...extremes, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  near: fc.boolean(),
  width: fc.constantFrom(1, 2, 4, 8),
  little: fc.boolean(),
  value: numbers,
});

/** The head of a disk with numbers changed, most of them where there are some, or cut short. */
function changed(head: Buffer): fc.Arbitrary<Uint8Array> {
  const filled = [...head.keys()].filter((at) => head[at] !== 0);
  const length = fc.oneof(
    { weight: 9, arbitrary: fc.constant(head.length) },
    { weight: 1, arbitrary: fc.nat(head.length) },
  );
  return fc.tuple(fc.array(edit, { minLength: 1, maxLength: 4 }), length).map(([edits, end]) => {
    const bytes = Buffer.from(head);
    for (const { at, near, width, little, value } of edits) {
      const place = near
        ? (filled[Math.floor(at * (filled.length - 1))] ?? 0)
        : Math.floor(at * head.length);
      const digits = Buffer.alloc(8);
      digits.writeBigUInt64LE(value);
      const part = digits.subarray(0, width);
      bytes.set((little ? part : part.reverse()).subarray(0, head.length - place), place);
    }
    return bytes.subarray(0, end);
  });
}

describe('what is on a disk', () => {
  const heads = realHeads();

  test.each(['ext4', 'xfs', 'btrfs', 'gpt'] as const)('%s', async (kind) => {
    const head = heads[kind];
    const type = superblockOf(head)?.type;
    expect(type).toBe(kind === 'gpt' ? undefined : kind);
    await readAll(changed(head), (bytes) => [superblocksIn(bytes), sectorBytesOf(bytes)]);
  });

  test('qcow2', async () => {
    expect(readQcow2(heads.qcow2)).toEqual({ bytes: 64n * 1024n * 1024n });
    await readAll(changed(heads.qcow2.subarray(0, 512)), readQcow2);
  });

  test('a block size whose shift would fill the memory', () => {
    const head = Buffer.from(heads.ext4);
    head.writeUInt32LE(1_073_741_000, 1024 + 0x18);
    expect(superblockOf(head)).toBeUndefined();
  });
});

const words = fc.constantFrom(
  '',
  '-1',
  '0',
  '1.5',
  '1e308',
  '9'.repeat(16),
  '9'.repeat(19),
  '9'.repeat(400),
  'null',
  '""',
  ':',
  '-',
  'NaN',
  '%',
);

/** A text with some of its numbers and words changed, or cut short. */
function edited(text: string, token = /\d+|[A-Za-z]+/g): fc.Arbitrary<string> {
  const tokens = [...text.matchAll(token)];
  const place = fc.tuple(fc.nat(tokens.length - 1), words);
  return fc
    .tuple(fc.array(place, { minLength: 1, maxLength: 3 }), fc.nat(20))
    .map(([edits, cut]) => {
      const by = new Map(edits);
      const whole = tokens.reduceRight((left, found, n) => {
        const word = by.get(n);
        const end = found.index + found[0].length;
        return word === undefined ? left : left.slice(0, found.index) + word + left.slice(end);
      }, text);
      return cut === 0 ? whole.slice(0, whole.length / 2) : whole;
    });
}

const table = (command: string, columns: string, row: string): string =>
  `${command}::HEADER:version:reserved:reserved:${columns}:\n${command}::0:1:::${row}:\n`;

const outputs = {
  mmlsfs: [
    ['filesystemVersion', '22.00 (5.0.4.0)'],
    ['blockSize', '4194304'],
    ['defaultDataReplicas', '1'],
    ['maxDataReplicas', '2'],
  ]
    .map(([field = '', data = '']) =>
      table('mmlsfs', 'deviceName:fieldName:data:remarks', `fs1:${field}:${data}:`),
    )
    .join(''),
  mmlsquota: table(
    'mmlsquota',
    'filesystemName:quotaType:id:name:blockUsage:blockQuota:blockLimit:blockInDoubt',
    'fs1:FILESET:1:csi:1024:0:4096:128',
  ),
  mmlspool:
    "Storage pools in file system at '/gpfs/fs1':\nName                    Id   BlkSize Data Meta Total Data in (KB)   Free Data in (KB)   Total Meta in (KB)    Free Meta in (KB)\nsystem                   0      4 MB  yes  yes      104857600       52428800 ( 50%)      104857600       52428800 ( 50%)\n",
  mmlsattr:
    'file name:            /gpfs/fs1/x\nmetadata replication: 1 max 2\ndata replication:     1 max 2\nstorage pool name:    system\nfileset name:         root\n',
  mmclone:
    'Parent  Depth   Parent inode  File name\n------  -----  --------------  ---------\n    no      1          131072  /x\n',
  mmlsconfig:
    table('mmlsconfig', 'configParameter:value:nodeList', 'clusterId:1234567890123456789:') +
    table('mmlsconfig', 'configParameter:value:nodeList', 'minReleaseLevel:5.1.9.0:'),
} as const;

describe('what a command printed', () => {
  const gpfs = (text: string) => gpfsCommands(() => Promise.resolve(text));
  const readers: Readonly<Record<string, readonly [string, (text: string) => unknown]>> = {
    mmlsfs: [outputs.mmlsfs, (text) => gpfs(text).fs('fs1')],
    mmlsquota: [outputs.mmlsquota, (text) => gpfs(text).quota('fs1', 'csi')],
    mmlspool: [outputs.mmlspool, (text) => gpfs(text).pools('fs1')],
    mmlsattr: [outputs.mmlsattr, (text) => gpfs(text).attributes('/x')],
    mmlsconfig: [outputs.mmlsconfig, (text) => gpfs(text).config()],
    mmclone: [outputs.mmclone, (text) => gpfs(text).clone.show('/x')],
    blkid: [
      'DEVNAME=/dev/loop0\nUUID=1\nBLOCK_SIZE=4096\nTYPE=ext4\nUSAGE=filesystem\n',
      parseProbe,
    ],
    losetup: ['/dev/loop0 253:1 131072', parseListed],
    xfs_growfs: [
      'data     =                       bsize=4096   blocks=76800, imaxpct=25\ndata blocks changed from 76800 to 131072\n',
      parseXfsGrowfs,
    ],
    'qemu-img info': [
      '{"format": "qcow2", "virtual-size": 67108864}',
      (text) => parseImage(information, text).format,
    ],
    'qemu-img check': [
      '{"total-clusters": 1024, "allocated-clusters": 17}',
      (text) => allocatedOf(parseImage(tables, text), 2n ** 26n),
    ],
  };

  test.each(Object.keys(readers))('%s', async (name) => {
    const [text, read] = readers[name] ?? ['', () => undefined];
    await expect(Promise.resolve(text).then(read)).resolves.toBeDefined();
    await readAll(edited(text), read);
  });
});

describe('a record of a root', async () => {
  const driver = serverOn(await clusterWithRoot());
  const volume = await driver.volumes.create(spec('pvc-1'));
  await driver.snapshots.create(snap('snap-1', volume));
  const [store] = await driver.roots.all();
  if (!store) throw new Error('the cluster has a root');
  const [node] = await store.nodes.all();
  const records: Readonly<Record<string, readonly [z.ZodType<object>, object | undefined]>> = {
    volume: [volumeRecord, (await store.volumes.read('pvc-1'))?.value],
    snapshot: [snapshotRecord, (await store.snapshots.read('snap-1'))?.value],
    root: [rootFile, store.facts],
    node: [nodeFile, node],
  };

  test.each(Object.entries(records))('%s', async (_, [schema, value]) => {
    const text = toText(value ?? {});
    expect(fromText(schema, text, '/x')).toBeDefined();
    // Numbers alone: a field of another name is kept as it is.
    await readAll(edited(text, /(?<=: "?)\d+/g), (each) => fromText(schema, each, '/x'));
  });
});
