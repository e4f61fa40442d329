import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CommandFailed } from '../../../src/run/run.ts';
import { simulateGpfs, type SimulatedGpfs } from '../../../src/simulator/memory/gpfs.ts';
import {
  documented,
  readPersonality,
  readSetting,
  type Personality,
} from '../../../src/simulator/core/personality.ts';

// What the commands print, held against samples whose values differ and whose form must not.

const sample = (name: string): readonly string[] =>
  readFileSync(new URL(`../../fixtures/mm/${name}.txt`, import.meta.url), 'utf8')
    .split('\n')
    .slice(1, -1);

const simulated = (personality: Partial<Personality> = {}): SimulatedGpfs =>
  simulateGpfs({ personality });
const lines = async (gpfs: SimulatedGpfs, ...argv: [string, ...string[]]): Promise<string[]> =>
  (await gpfs.run(argv, 'read')).split('\n').slice(0, -1);

async function failure(gpfs: SimulatedGpfs, ...argv: [string, ...string[]]): Promise<object> {
  const error: unknown = await gpfs.run(argv, 'read').catch((reason: unknown) => reason);
  if (!(error instanceof CommandFailed)) throw new Error(`${argv.join(' ')} did not fail`);
  return { exitCode: error.exitCode, stderr: error.stderr };
}
const pointer = (name: string): string =>
  `${name}: Command failed. Examine previous error messages to determine cause.\n`;

/** Fields of a `-Y` row: their number is part of its form. */
const fields = (line: string | undefined): number => (line ?? '').split(':').length;

describe('-Y tables', () => {
  test.each([
    ['4.1', 'mmgetstate-4.1'],
    ['5.0', 'mmgetstate-5.0'],
    ['5.2', 'mmgetstate-5.2'],
    ['6.0', 'mmgetstate-5.2'],
  ] as const)('mmgetstate of release %s has the header of %s', async (release, file) => {
    const [header, row] = await lines(simulated({ release }), 'mmgetstate', '-Y');
    expect(header).toBe(sample(file)[0]);
    expect(fields(row)).toBe(fields(sample(file)[1]));
    expect(row).toMatch(/^mmgetstate::0:1:::a1:1:active:/);
  });

  test('mmlsconfig and mmlsfs print the lines of the samples, value for value where it is ours', async () => {
    const gpfs = simulated({ release: '5.0' });
    const config = await lines(gpfs, 'mmlsconfig', '-Y');
    expect(config[0]).toBe(sample('mmlsconfig')[0]);
    expect(config).toContain('mmlsconfig::0:1:::minReleaseLevel:5.0.4.0::');
    const told = await lines(gpfs, 'mmlsfs', 'fs1', '-Y');
    const wanted = sample('mmlsfs').filter((line) => !/create-time|MountPoint/.test(line));
    for (const line of wanted) expect(told).toContain(line.replace('FS1', 'fs1'));
    expect(told).toContain('mmlsfs::0:1:::fs1:create-time:Mon Jan  5 08%3A00%3A00 2026::');
    expect(told).toContain('mmlsfs::0:1:::fs1:defaultMountPoint:%2Fgpfs%2Ffs1::');
    expect(await lines(gpfs, 'mmlsfs', '/dev/fs1', '-V', '-Y')).toHaveLength(6);
  });

  test('mmlscluster has several headers before its rows', async () => {
    const told = await lines(simulated(), 'mmlscluster', '-Y');
    expect(told.slice(0, 2)).toEqual(sample('mmlscluster').slice(0, 2));
    expect(fields(told.at(-2))).toBe(fields(sample('mmlscluster')[2]));
    expect(fields(told.at(-1))).toBe(fields(sample('mmlscluster')[3]));
  });

  test('mmlsfileset begins as in the sample, and has more columns in later releases', async () => {
    const [header = '', root = ''] = await lines(simulated(), 'mmlsfileset', 'fs1', '-Y');
    expect(header.startsWith(sample('mmlsfileset')[0] ?? '?')).toBe(true);
    expect(fields(root)).toBe(fields(header));
    expect(root).toMatch(/^mmlsfileset::0:1:::fs1:root:0:\d+:Linked:%2Fgpfs%2Ffs1:--:Mon Jan/);
    const [older] = await lines(simulated({ release: '4.1' }), 'mmlsfileset', 'fs1', '-Y');
    expect(fields(older)).toBeLessThan(fields(header));
  });
});

describe('output for people', () => {
  test('mmclone show has the columns of the documentation', async () => {
    const gpfs = simulated();
    const at = (name: string): string => `${gpfs.filesetPath}/${name}`;
    for (const name of ['test01.img', 'plain.txt']) {
      await gpfs.files.createSparse(at(name), 4096n, 0o644);
    }
    await gpfs.run(['mmclone', 'snap', at('test01.img'), at('base.img')], 'write');
    await gpfs.run(['mmclone', 'copy', at('base.img'), at('test02.img')], 'write');
    const names = ['base.img', 'test01.img', 'test02.img', 'plain.txt'];
    const told = await lines(gpfs, 'mmclone', 'show', ...names.map(at));
    const { inode } = await gpfs.files.stat(at('base.img'));
    const shown = told.map((line) => line.replace(`${gpfs.filesetPath}/`, ''));
    const wanted = sample('mmclone-show').map((line) =>
      line.replace('148488', String(inode)).replace('/gpfs0/plain', 'plain'),
    );
    expect(shown).toEqual([...wanted.slice(0, 5), wanted[6]]);
  });

  test('mmgetstate, mmlscluster and mmlspool have the headings and columns of the samples', async () => {
    const gpfs = simulated();
    const state = await lines(gpfs, 'mmgetstate');
    expect(state.slice(0, 2)).toEqual(sample('mmgetstate-human').slice(0, 2));
    expect(state[2]?.indexOf('active')).toBe(sample('mmgetstate-human')[2]?.indexOf('active'));
    const cluster = await lines(gpfs, 'mmlscluster');
    for (const at of [0, 1, 4, 5]) expect(cluster).toContain(sample('mmlscluster-human')[at]);
    const [title, heading, first] = await lines(gpfs, 'mmlspool', 'fs1');
    expect(title).toBe("Storage pools in file system at '/gpfs/fs1':");
    expect(heading).toBe(sample('mmlspool')[1]);
    expect(first).toMatch(
      /^system {19}0 {6}4 MB {2}yes {2}yes +\d+ +\d+ \( {1,2}\d+%\) +\d+ +\d+ \( {1,2}\d+%\)$/,
    );
    expect(first).toHaveLength(sample('mmlspool')[2]?.length ?? 0);
  });

  test('mmlsattr -L has its labels, and older ones at the end in 4.1', async () => {
    const labels = (text: readonly string[]): string[] => text.map((line) => line.slice(0, 22));
    const gpfs = simulated();
    const told = await lines(gpfs, 'mmlsattr', '-L', gpfs.filesetPath);
    expect(labels(told)).toEqual(labels(sample('mmlsattr-5')));
    expect(told[7]).toBe('fileset name:         csi-data');
    const old = await lines(simulated({ release: '4.1' }), 'mmlsattr', '-L', gpfs.filesetPath);
    expect(old.at(-1)).toBe('Windows attributes:   DIRECTORY');
  });

  test('mmchattr sets what mmlsattr shows', async () => {
    const gpfs = simulated();
    await gpfs.run(['mmchattr', '-P', 'data', '-r', '2', gpfs.filesetPath], 'write');
    const told = await lines(gpfs, 'mmlsattr', '-L', gpfs.filesetPath);
    expect(told[2]).toBe('data replication:     2 max 2');
    expect(told[6]).toBe('storage pool name:    data');
  });
});

describe('failures', () => {
  test('a daemon that is down is an answer of mmgetstate and a failure of others', async () => {
    const gpfs = simulated({ daemon: 'down' });
    expect((await lines(gpfs, 'mmgetstate', '-Y'))[1]).toContain(':a1:1:down:');
    expect(await failure(gpfs, 'mmlsfs', 'fs1', '-Y')).toEqual({
      exitCode: 1,
      stderr: `Failed to connect to file system daemon: No such process\nmmlsfs: GPFS is down on this node.\n${pointer('mmlsfs')}`,
    });
  });

  test.each([
    [
      {},
      ['mmlsfs', 'i_dont_exist'],
      1,
      'mmlsfs: File system i_dont_exist is not known to the GPFS cluster.',
    ],
    [
      { member: false },
      ['mmgetstate'],
      1,
      'mmgetstate: This node does not belong to a GPFS cluster.',
    ],
    [{}, ['mmlsfileset', 'fs1', 'fset'], 22, 'Fileset named fset does not exist.'],
    [
      { missingFileset: 2 as const },
      ['mmlsfileset', 'fs1', 'fset'],
      2,
      'Fileset named fset does not exist.',
    ],
  ] as const)('%o %j ends with %i', async (personality, [name, ...args], exitCode, text) => {
    const stderr = `${text}\n${pointer(name)}`;
    expect(await failure(simulated(personality), name, ...args)).toEqual({ exitCode, stderr });
  });

  test('some builds say that they fail and end with status 0', async () => {
    expect(await lines(simulated({ zeroOnFailure: true }), 'mmlsfs', 'nope', '-Y')).toEqual([]);
  });

  test('a line of noise may come before the header', async () => {
    const told = await lines(simulated({ garbage: true }), 'mmgetstate', '-Y');
    expect(told[0]).toMatch(/^\*\*\* Report/);
    expect(told[1]).toContain('HEADER');
  });
});

test('settings are read from text as what they are', () => {
  const told = ['release=6.0', 'latencyMs=300', 'full=true', 'hang=mmclone,mmlsfs'];
  const settings = Object.fromEntries(told.map(readSetting));
  const hang = ['mmclone', 'mmlsfs'];
  expect(readPersonality(settings)).toEqual({
    ...documented,
    release: '6.0',
    latencyMs: 300,
    full: true,
    hang,
  });
  expect(() => readPersonality({ release: '7' })).toThrow('"7" is no value for setting release');
  expect(() => readSetting('nonsense')).toThrow('key=value');
});
