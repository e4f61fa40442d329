import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFault } from '../../../../src/model/fault.ts';
import { classParameters } from '../../../../src/model/class/parameters.ts';
import { parameterKeys } from '../../../../src/model/class/parameter-keys.ts';
import { withParameterTable } from '../../../support/tools/parameter-docs.ts';

const decode = (parameters: Readonly<Record<string, string>>) =>
  classParameters(new Map(Object.entries(parameters)));

function refusal(parameters: Readonly<Record<string, string>>): string {
  try {
    decode(parameters);
  } catch (error) {
    if (isFault(error, 'invalid-request')) return error.message;
    throw error;
  }
  return 'accepted';
}

describe('class parameters', () => {
  test('every key is decoded to where it belongs', () => {
    const decoded = decode({
      root: '/gpfs/a',
      pool: 'data',
      dataReplicas: '2',
      metadataReplicas: '3',
      directIO: 'true',
      writeAffinityDepth: '1',
      blockGroupFactor: '128',
      writeAffinityFailureGroup: '1,0,1;2,0,1',
      provisioning: 'thin',
      fsType: 'xfs',
      fsLabel: 'pgdata',
      mkfsOptions: '-i  size=512 -m reflink=0,bigtime=1',
      maxCloneDepth: '0',
      discard: 'on',
      trim: 'weekly',
      crossRootCopy: 'true',
      encryptionAtRest: 'required',
      'csi.storage.k8s.io/pvc/name': 'ignored',
    });
    expect(decoded).toEqual({
      attributes: {
        pool: 'data',
        dataReplicas: 2,
        metadataReplicas: 3,
        directIo: true,
        writeAffinityDepth: 1,
        blockGroupFactor: 128,
        writeAffinityFailureGroup: '1,0,1;2,0,1',
      },
      options: {
        provisioning: 'thin',
        maxCloneDepth: 0,
        discard: 'on',
        trim: 'weekly',
        fsType: 'xfs',
        fsLabel: 'pgdata',
        mkfsOptions: ['-i', 'size=512', '-m', 'reflink=0,bigtime=1'],
      },
      creation: { root: '/gpfs/a', crossRootCopy: true, encryptionAtRest: 'required' },
    });
  });

  test('a class that says nothing leaves everything open', () => {
    expect(decode({})).toEqual({ attributes: {}, options: {}, creation: {} });
  });

  test('a thick volume is never discarded from', () => {
    expect(decode({ provisioning: 'thick' }).options.discard).toBe('off');
  });

  test('an unknown key is refused by name, with all that are known', () => {
    const text = refusal({ Pool: 'data' });
    expect(text).toContain('parameters has an unknown key "Pool"');
    for (const key of Object.keys(parameterKeys)) expect(text).toContain(key);
    expect(refusal({ __proto__x: '1' })).toContain('"__proto__x"');
  });

  test.each([
    ['root', 'gpfs/a', 'must be an absolute path'],
    ['pool', '-P', 'must be a name'],
    ['pool', '', 'must be a name'],
    ['dataReplicas', '4', 'must be 1, 2 or 3'],
    ['dataReplicas', '2.0', 'must be 1, 2 or 3'],
    ['metadataReplicas', 'two', 'must be 1, 2 or 3'],
    ['directIO', 'yes', 'must be true or false'],
    ['writeAffinityDepth', '3', 'must be a whole number from 0 to 2'],
    ['blockGroupFactor', '0', 'must be a whole number from 1 to 1024'],
    ['writeAffinityFailureGroup', '1;;2', 'must be up to three failure groups'],
    ['writeAffinityFailureGroup', '--help', 'must be up to three failure groups'],
    ['provisioning', 'Thick', 'must be thin or thick'],
    ['fsType', 'reiserfs', 'must be ext4, xfs or btrfs'],
    ['fsLabel', '-L', 'must be a label'],
    ['maxCloneDepth', '-1', 'must be a whole number from 0 to 1000'],
    ['maxCloneDepth', '1001', 'must be a whole number from 0 to 1000'],
    ['discard', 'true', 'must be auto, on or off'],
    ['trim', 'now', 'must be auto, daily, weekly, monthly or never'],
    ['freeze', 'always', 'must be auto or never'],
    ['crossRootCopy', '1', 'must be true or false'],
    ['image', '../etc/passwd', 'must be a name'],
    ['imageShareMode', 'copy_on_write', 'must be copyOnWrite or copy'],
    ['encryptionAtRest', 'true', 'must be required or optional'],
  ])('%s cannot be %j', (key, value, words) => {
    const text = refusal({ [key]: value });
    expect(text).toContain(`parameters key "${key}" ${words}`);
    expect(text).toContain(`not ${JSON.stringify(value)}`);
  });

  test.each([
    [{ dataReplicas: '2', metadataReplicas: '1' }, 'must not be larger than "metadataReplicas"'],
    [{ provisioning: 'thick', discard: 'on' }, '"discard" must be off with "provisioning" thick'],
    [{ provisioning: 'thick', trim: 'daily' }, '"trim" must be auto or never with "provisioning"'],
    [{ discard: 'off', trim: 'weekly' }, '"trim" must be auto or never with "discard" off'],
    [{ mkfsOptions: '-m 1' }, '"mkfsOptions" needs "fsType"'],
    [{ fsType: 'xfs', fsLabel: 'thirteenchars' }, '"fsLabel" must be at most 12'],
    [{ fsLabel: 'thirteenchars' }, '"fsLabel" must be at most 12'],
    [{ image: 'a', fsLabel: 'x' }, '"image" contradicts'],
    [{ imageShareMode: 'copy' }, '"imageShareMode" needs "image"'],
  ])('%j contradicts itself', (parameters, words) => {
    expect(refusal(parameters)).toContain(words);
  });
});

describe('mkfs options', () => {
  test.each([
    ['ext4', '-d /etc', 'cannot hold "-d"; for ext4 it may hold -E, -G, -I'],
    ['ext4', '-J device=/dev/sda', 'cannot hold "device=/dev/sda" with -J'],
    ['ext4', '-E discard', 'cannot hold "discard" with -E'],
    ['ext4', '-m 51', 'cannot hold "51" with -m'],
    ['ext4', '-m', 'needs a value after -m'],
    ['ext4', '-O ^has_journal', 'cannot hold "^has_journal" with -O'],
    ['xfs', '-p /etc/shadow', 'cannot hold "-p"'],
    ['xfs', '-d file,name=/etc/shadow', 'cannot hold "file" with -d'],
    ['xfs', '-l logdev=/dev/sda', 'cannot hold "logdev=/dev/sda"'],
    ['xfs', '-s size=512', 'cannot hold "-s"'],
    ['xfs', '/dev/sda', 'cannot hold "/dev/sda"'],
    ['btrfs', '-r /etc', 'cannot hold "-r"'],
    ['btrfs', '-d raid1', 'cannot hold "raid1" with -d'],
    ['xfs', '__proto__ x', 'cannot hold "__proto__"'],
  ])('%s: %s is refused', (fsType, mkfsOptions, words) => {
    expect(refusal({ fsType, mkfsOptions })).toContain(`key "mkfsOptions" ${words}`);
  });

  test('nothing gets through that names a path, whatever is around it', () => {
    const word = fc.oneof(
      fc.constantFrom(
        '-d',
        '-p',
        '-E',
        '-O',
        '-m',
        '-J',
        '-l',
        '-i',
        'size=1',
        'stride=4',
        '/',
        ',',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.constantFrom('ext4', 'xfs', 'btrfs'), fc.array(word), (fsType, words) => {
        const mkfsOptions = words.join(' ').slice(0, 500);
        const text = refusal({ fsType, mkfsOptions });
        if (text === 'accepted') expect(mkfsOptions).toMatch(/^[-A-Za-z0-9_=^,.\s]*$/);
        else expect(text).toContain('"mkfsOptions"');
      }),
    );
  });
});

test('the table of docs/parameters.md is the one of the schema (npm run docs writes it)', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/parameters.md'), 'utf8');
  expect(await withParameterTable(page)).toBe(page);
});
