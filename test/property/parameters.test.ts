import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { parameterKeys } from '../../src/model/class/parameter-keys.ts';
import { answerFor } from '../../src/server/call/status.ts';
import type { Driver } from '../../src/service/driver.ts';
import type { VolumeSpec } from '../../src/model/volume.ts';
import {
  clusterWithRoot,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from '../support/memory/driver.ts';

type Key = keyof typeof parameterKeys;
type Parameters = Readonly<Partial<Record<Key, string>>>;

const words = [
  '',
  ' ',
  'true',
  'TRUE',
  'yes',
  '1',
  '0',
  '-1',
  '+1',
  '1.0',
  '1e0',
  '0x1',
  ' 1',
  '1\n',
  '\u0661',
  'NaN',
  'null',
  'undefined',
  '[object Object]',
  '__proto__',
  'constructor',
  '99999999999999999999',
  '../x',
  '/etc/shadow',
  '--help',
  '-rf',
  'a b',
  'a;b',
  '$(id)',
  '\u0000',
  '\ud800',
  'x'.repeat(2000),
];
const anything = fc.oneof(
  fc.constantFrom(...words),
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.integer().map(String),
  fc.double().map(String),
);

/** Any text but what is allowed, which each entry below says again in a way of its own. */
const notIn = (...allowed: readonly string[]) => anything.filter((each) => !allowed.includes(each));
const notMatching = (allowed: RegExp) => anything.filter((each) => !allowed.test(each));
const notWhole = (least: number, most: number) =>
  fc.oneof(
    fc.integer({ min: most + 1 }).map(String),
    fc.integer({ max: -1 }).map(String),
    anything.filter(
      (text) => !/^[0-9]+$/.test(text) || Number(text) < least || Number(text) > most,
    ),
  );

const plain = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const plainText = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,40}$/);

/**
 * What a class cannot say, key by key, with what the caller reads of the values that are allowed. The simulated
 * file system has two pools, keeps two copies at most, and does not encrypt.
 */
const wrongValues: Readonly<Record<Key, readonly [values: fc.Arbitrary<string>, says: RegExp][]>> =
  {
    root: [
      [anything.filter((text) => !text.startsWith('/')), /must be an absolute path/],
      [
        anything.map((text) => `/${text}`),
        /not configured; configured are \/gpfs\/fs1\/csi-data\/csi/,
      ],
    ],
    pool: [
      [notMatching(plain), /must be a name of letters, digits, "_", "\." and "-"/],
      [plainText.filter((name) => !['system', 'data'].includes(name)), /it has system, data/],
    ],
    dataReplicas: [
      [notIn('1', '2', '3'), /must be 1, 2 or 3/],
      [fc.constant('3'), /allowed are 1 to 2/],
    ],
    metadataReplicas: [
      [notIn('1', '2', '3'), /must be 1, 2 or 3/],
      [fc.constant('3'), /allowed are 1 to 2/],
    ],
    directIO: [[notIn('true', 'false'), /must be true or false/]],
    writeAffinityDepth: [[notWhole(0, 2), /must be a whole number from 0 to 2/]],
    blockGroupFactor: [[notWhole(1, 1024), /must be a whole number from 1 to 1024/]],
    writeAffinityFailureGroup: [
      [notMatching(/^[0-9*,:;[\]-]+$/), /up to three failure groups separated by ";", such as/],
      [fc.constantFrom('1;2;3;4', ';', '1;', ';1', '1;;2'), /up to three failure groups/],
      [fc.constant('1'.repeat(256)), /must be at most 255 long/],
    ],
    provisioning: [[notIn('thin', 'thick'), /must be thin or thick/]],
    fsType: [[notIn('ext4', 'xfs', 'btrfs'), /must be ext4, xfs or btrfs/]],
    fsLabel: [
      [notMatching(plain), /must be a label of 1 to 16 plain characters/],
      [fc.stringMatching(/^[a-z0-9]{17,40}$/), /must be a label of 1 to 16/],
      [fc.stringMatching(/^[a-z0-9]{13,16}$/), /at most 12 characters, or 16/],
    ],
    // Alone it is wrong whatever it says; with a file system see below.
    mkfsOptions: [
      [anything.filter(({ length }) => length <= 512), /needs "fsType"/],
      [fc.string({ minLength: 513 }), /must be at most 512 long/],
    ],
    maxCloneDepth: [[notWhole(0, 1000), /must be a whole number from 0 to 1000/]],
    discard: [[notIn('auto', 'on', 'off'), /must be auto, on or off/]],
    trim: [
      [
        notIn('auto', 'daily', 'weekly', 'monthly', 'never'),
        /auto, daily, weekly, monthly or never/,
      ],
    ],
    freeze: [[notIn('auto', 'never'), /must be auto or never/]],
    privilegedFiles: [[notIn('ignored', 'allowed'), /must be ignored or allowed/]],
    crossRootCopy: [[notIn('true', 'false'), /must be true or false/]],
    image: [
      [notMatching(plain), /must be a name of letters, digits/],
      [plainText, /which is no image of root \S+; there are none/],
    ],
    imageShareMode: [
      [notIn('copyOnWrite', 'copy'), /must be copyOnWrite or copy/],
      [fc.constantFrom('copyOnWrite', 'copy'), /needs "image" in the same class/],
    ],
    encryptionAtRest: [
      [notIn('required', 'optional'), /must be required or optional/],
      [fc.constant('required'), /does not encrypt at rest; use a root on one that does/],
    ],
  };

const schedules = fc.constantFrom('daily', 'weekly', 'monthly');
const fsTypes = fc.constantFrom('ext4', 'xfs', 'btrfs');
const wrongWord = fc.constantFrom('-r /etc', '-p /etc/shadow', '/dev/sda', '-q', '--help', '-O');

/** Keys that are right one by one and contradict each other. */
const contradictions: readonly (readonly [Key, fc.Arbitrary<Parameters>, RegExp])[] = [
  [
    'dataReplicas',
    fc.constant({ dataReplicas: '2', metadataReplicas: '1' }),
    /must not be larger than "metadataReplicas", and 2 is larger than 1/,
  ],
  [
    'discard',
    fc.constantFrom('auto', 'on').map((discard) => ({ provisioning: 'thick', discard })),
    /must be off with "provisioning" thick/,
  ],
  [
    'trim',
    schedules.map((trim) => ({ provisioning: 'thick', trim })),
    /must be auto or never with "provisioning" thick/,
  ],
  [
    'trim',
    schedules.map((trim) => ({ discard: 'off', trim })),
    /must be auto or never with "discard" off/,
  ],
  [
    'fsLabel',
    fc.constantFrom('xfs', 'btrfs').map((fsType) => ({ fsType, fsLabel: 'thirteenchars' })),
    /must be at most 12 characters, or 16 with "fsType" ext4/,
  ],
  [
    'image',
    fc
      .constantFrom({ fsLabel: 'x' }, { fsType: 'ext4', mkfsOptions: '-m 1' })
      .map((format) => ({ image: 'rocky', ...format })),
    /contradicts "fsLabel" and "mkfsOptions"/,
  ],
  [
    'mkfsOptions',
    fc.tuple(fsTypes, wrongWord).map(([fsType, mkfsOptions]) => ({ fsType, mkfsOptions })),
    /for (?:ext4|xfs|btrfs) it may hold -|docs\/parameters.md tells|needs a value after/,
  ],
];

/** Values that are right and say nothing about the others: that one key is wrong must be enough. */
const neutral: Parameters = {
  directIO: 'true',
  writeAffinityDepth: '1',
  blockGroupFactor: '128',
  freeze: 'auto',
  maxCloneDepth: '7',
  crossRootCopy: 'true',
  provisioning: 'thin',
  pool: 'data',
};

/** A class with the wrong value and some right ones around it. */
const wrongClass = (wrong: fc.Arbitrary<Parameters>): fc.Arbitrary<Parameters> =>
  fc
    .tuple(wrong, fc.subarray(Object.entries(neutral)))
    .map(([parameters, around]) => ({ ...Object.fromEntries(around), ...parameters }));

let gpfs: Cluster;
let driver: Driver;
let sources: readonly VolumeSpec['source'][];
beforeAll(async () => {
  gpfs = await clusterWithRoot();
  driver = serverOn(gpfs);
  const { volumes, snapshots } = driver;
  const volume = await volumes.create(spec('source'));
  const cut = await snapshots.create(snap('cut', volume));
  sources = [undefined, from('volume', volume), from('snapshot', cut)];
});

/** What of the root there is and what it says: data files, records, edges, queues, whatever comes. */
async function rootNow(): Promise<readonly (readonly [string, string])[]> {
  const paths = gpfs.paths().filter((path) => path.startsWith(`${testRoot}/`));
  return Promise.all(paths.map(async (path) => [path, await contentOf(path)] as const));
}

async function contentOf(path: string): Promise<string> {
  const { inode, size } = await gpfs.files.stat(path);
  const text = path.endsWith('.json') ? await gpfs.files.read(path) : '';
  return `${inode} ${size} ${text}`;
}

async function expectRefused(wanted: VolumeSpec, key: Key, says: RegExp): Promise<void> {
  const before = await rootNow();
  const { code, details } = await driver.volumes.create(wanted).then(
    () => ({ code: status.OK, details: 'a volume' }),
    (error: unknown) => answerFor(error),
  );
  expect(details).toMatch(says);
  expect(details).toContain(`parameters key "${key}" `);
  expect(code).toBe(status.INVALID_ARGUMENT);
  expect(await rootNow()).toEqual(before);
}

describe('a class that is wrong is refused, saying what is allowed, and nothing is made', () => {
  test('every key has its wrong values here', () => {
    expect(Object.keys(wrongValues).sort()).toEqual(Object.keys(parameterKeys).sort());
    for (const wrong of Object.values(wrongValues)) expect(wrong.length).toBeGreaterThan(0);
  });

  // Not test.each: vitest would print the whole of an arbitrary into the title.
  for (const key of Object.keys(parameterKeys) as Key[])
    for (const [values, says] of wrongValues[key])
      test(`${key}: ${says.source}`, async () => {
        const wrong = wrongClass(values.map((value) => ({ [key]: value })));
        await fc.assert(
          fc.asyncProperty(wrong, (parameters) =>
            expectRefused(spec('v', { parameters }), key, says),
          ),
          { numRuns: 50 },
        );
      });

  for (const [key, wrong, says] of contradictions)
    test(`${key} in a contradiction: ${says.source}`, async () => {
      await fc.assert(
        fc.asyncProperty(wrongClass(wrong), fc.nat({ max: 2 }), (parameters, n) =>
          expectRefused(spec('v', { parameters, source: sources[n] }), key, says),
        ),
        { numRuns: 30 },
      );
    });
});
