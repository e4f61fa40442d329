import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../../src/cli/command/config.ts';
import {
  rootHelpLines,
  readRootFlags,
  type RootCommandLine,
} from '../../../../src/cli/command/root-flags.ts';
import type { Environment } from '../../../../src/cli/command/settings.ts';

const grammar = {
  command: 'look',
  own: {
    json: { takes: 'nothing', meaning: 'as JSON' },
    name: { takes: 'value', meaning: 'only these' },
  },
  words: 1,
} as const;

const look = (argv: readonly string[], env: Environment = {}): RootCommandLine =>
  readRootFlags(grammar, argv, env, 'host1');

const problems = (argv: readonly string[], env: Environment = {}): readonly string[] => {
  try {
    look(argv, env);
  } catch (error) {
    if (error instanceof UsageError) return error.message.split('\n');
    throw error;
  }
  return [];
};

test('a root suffices, and the rest is what serve would take', () => {
  expect(look(['--root', '/gpfs/a,/gpfs/b']).config).toEqual({
    roots: ['/gpfs/a', '/gpfs/b'],
    mmDirectory: '/usr/lpp/mmfs/bin',
    mmRunner: { kind: 'direct' },
    mountType: 'gpfs',
    owner: undefined,
    nodeId: 'host1',
    bootIdPath: '/proc/sys/kernel/random/boot_id',
    machineIdPath: '/etc/machine-id',
    driverName: 'gpfs-clone.csi',
    stateDirectory: '/var/lib/gpfs-csi',
    topology: undefined,
  });
});

test('in the pod of the driver nothing need be said: its variables are those of serve', () => {
  const env = {
    CSI_ENDPOINT: 'unix:///csi/csi.sock',
    KUBERNETES_SERVICE_HOST: '10.0.0.1',
    GPFS_CSI_ROOT: '/gpfs/a',
    GPFS_CSI_PROC_PATH: '/host/proc/1',
    GPFS_CSI_NODE_ID: 'n1',
    GPFS_CSI_OWNER: 'uid-1',
    GPFS_CSI_HTTP_PORT: '9808',
    GPFS_CSI_CONTROLLER_ENDPOINT: 'unix:///csi/controller/csi.sock',
    GPFS_CSI_LOG_LEVEL: 'info',
    GPFS_CSI_POOL: '',
    GPFS_CSI_WEB_SERVICE_HOST: '10.0.0.2',
  };
  const { config, flags } = look([], env);
  expect(config).toMatchObject({
    roots: ['/gpfs/a'],
    nodeId: 'n1',
    owner: 'uid-1',
    mmRunner: { kind: 'nsenter', procPath: '/host/proc/1' },
  });
  expect([...flags]).toEqual([]);
});

test('flags of its own and words are given back', () => {
  const { flags, words, config } = look(['db', '--json', '--name', 'd*', '--root=/gpfs/a']);
  expect(flags.has('json')).toBe(true);
  expect(flags.get('name')).toBe('d*');
  expect(words).toEqual(['db']);
  expect(config.roots).toEqual(['/gpfs/a']);
});

describe('what is wrong', () => {
  test('is reported all at once, in the order of the command line', () => {
    const argv = ['a', '--pool', 'p', 'b', '--json=yes', '--name', 'x', '--name', 'y', '--root'];
    expect(problems(argv, { GPFS_CSI_RUUT: '/x' })).toEqual([
      '--pool is not a flag of look',
      // The value of a flag that is not known stands there as a word.
      '"p" is not expected here',
      '"b" is not expected here',
      '--json takes no value',
      '--name is given twice',
      '--root needs a value',
      'GPFS_CSI_RUUT is not a variable of this driver',
      expect.stringMatching(/^--root \(GPFS_CSI_ROOT\) is missing: /),
    ]);
  });

  test.each(['constructor', '__proto__'])('--%s is no flag either', (name) => {
    expect(problems([`--${name}`, '--root', '/a'])).toEqual([`--${name} is not a flag of look`]);
  });
});

test('the help names every flag once', () => {
  const flags = rootHelpLines(grammar).flatMap((line) => /^ {2}(--\S+)/.exec(line)?.[1] ?? []);
  expect(flags).toEqual([
    '--json',
    '--name',
    '--root',
    '--mm-dir',
    '--mm-runner',
    '--proc-path',
    '--mount-type',
    '--owner',
    '--node-id',
    '--boot-id-path',
    '--machine-id-path',
    '--driver-name',
    '--state-dir',
    '--topology',
  ]);
});
