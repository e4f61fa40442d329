import { describe, expect, test } from 'vitest';
import {
  UsageError,
  describeConfig,
  readConfig,
  type Config,
} from '../../../../src/cli/command/config.ts';
import { allSettings, type Environment } from '../../../../src/cli/command/settings.ts';
import { defaultCompaction } from '../../../../src/service/compaction/worker.ts';

const endpoint = { CSI_ENDPOINT: 'unix:///run/csi.sock' };
const read = (argv: readonly string[], env: Environment = {}): Config =>
  readConfig(argv, { ...endpoint, ...env }, 'host1');

const problems = (argv: readonly string[], env: Environment = {}): readonly string[] => {
  try {
    read(argv, env);
  } catch (error) {
    if (error instanceof UsageError) return error.message.split('\n');
    throw error;
  }
  return [];
};

test('a root and an endpoint suffice; the rest has defaults', () => {
  expect(read(['--root', '/gpfs/a'])).toEqual({
    endpoint: 'unix:///run/csi.sock',
    controller: undefined,
    roots: ['/gpfs/a'],
    mmDirectory: '/usr/lpp/mmfs/bin',
    mmRunner: { kind: 'direct' },
    nodeId: 'host1',
    httpPort: 0,
    httpAddress: '::',
    metricsVolumes: 0,
    driverName: 'gpfs-clone.csi',
    stateDirectory: '/var/lib/gpfs-csi',
    kubeletDirectory: '/var/lib/kubelet',
    registration: undefined,
    maxVolumesPerNode: 256,
    trimHours: 24,
    mountType: 'gpfs',
    pool: undefined,
    owner: '',
    topology: false,
    compaction: defaultCompaction,
    allowBuffered: false,
    probe: 'auto',
    logLevel: 'info',
    logFormat: 'json',
    requestLimitMs: 110000,
    shutdownGraceMs: 25000,
    limits: { overcommitPercent: 0, reservePercent: 0 },
    bootIdPath: '/proc/sys/kernel/random/boot_id',
    machineIdPath: '/etc/machine-id',
  });
});

test('every flag is a variable too, and flags win', () => {
  const values: Readonly<Record<string, string>> = {
    root: '/r',
    'mm-dir': '/mm',
    'mm-runner': 'host',
    'node-id': 'n',
    pool: 'p',
    owner: 'u',
    'controller-endpoint': 'unix:/run/c/csi.sock',
    'controller-group': '7',
    'http-port': '1',
    'http-address': '::1',
    'metrics-volumes': '7',
    'driver-name': 'my.csi',
    'state-dir': '/s',
    'kubelet-dir': '/k',
    'max-volumes-per-node': '9',
    'trim-hours': '0',
    'mount-type': 'xfs',
    'log-level': 'debug',
    'log-format': 'text',
    'request-limit': '5000',
    'shutdown-grace': '0',
    'proc-path': '/host/proc/1',
    'boot-id-path': '/b',
    'overcommit-limit': '300',
    reserve: '5',
    compaction: 'paused',
    'compact-attached': 'auto',
    'compact-factor': '3.5',
    'compact-dead-share': '0.5',
    'compact-parallel': '3',
    'compact-per-file-system': '4',
    'max-clone-depth': '100',
    'machine-id-path': '/m',
    'registration-dir': '/reg',
    'kubelet-endpoint': '/k/csi.sock',
    'allow-buffered': 'true',
    probe: 'never',
    topology: 'true',
  };
  expect([...allSettings].sort()).toEqual(Object.keys(values).sort());
  const env = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      `GPFS_CSI_${name.replaceAll('-', '_').toUpperCase()}`,
      value,
    ]),
  );
  const argv = Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
  expect(read([], env)).toEqual(read(argv));
  expect(read([], env)).toMatchObject({
    controller: { path: '/run/c/csi.sock', gid: 7 },
    registration: { directory: '/reg', endpoint: '/k/csi.sock' },
    mmRunner: { kind: 'nsenter', procPath: '/host/proc/1' },
    topology: true,
  });
  expect(read(['--root=/other', '--log-level', 'warn'], env)).toMatchObject({
    roots: ['/other'],
    logLevel: 'warn',
  });
});

test('in a pod, mm commands run in the namespaces of the host unless told otherwise', () => {
  const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
  expect(read(['--root', '/r'], pod).mmRunner).toEqual({ kind: 'nsenter', procPath: '/proc/1' });
  expect(read(['--root', '/r', '--mm-runner', 'direct'], pod).mmRunner.kind).toBe('direct');
});

describe('roots', () => {
  test('may be several, with or without a slash at the end', () => {
    expect(read(['--root', '/gpfs/a/,/gpfs/b,/gpfs/ab']).roots).toEqual([
      '/gpfs/a',
      '/gpfs/b',
      '/gpfs/ab',
    ]);
  });

  test.each([
    ['gpfs', 'must be absolute paths, which "gpfs" is not'],
    ['/', 'must be absolute paths, which "/" is not'],
    ['/a,', 'must be absolute paths, which "." is not'],
    ['/a,/a/', 'names "/a" twice'],
    ['/a/b,/a', 'names "/a/b", which lies in "/a"'],
    ['/a/b,/a/c/../b/d', 'names "/a/b/d", which lies in "/a/b"'],
  ])('%s', (root, problem) => {
    expect(problems(['--root', root])).toEqual([`--root (GPFS_CSI_ROOT) ${problem}`]);
  });
});

describe('what is wrong', () => {
  test('is reported all at once', () => {
    const env = { GPFS_CSI_LOGLEVEL: 'x', CSI_ENDPOINT: 'tcp://x', GPFS_CSI_HTTP_PORT: '1e3' };
    expect(problems(['--roots', '/a', '--pool'], env)).toEqual([
      '--roots is not a flag of serve',
      '"/a" is not expected here',
      '--pool needs a value',
      'GPFS_CSI_LOGLEVEL is not a variable of this driver',
      expect.stringMatching(/^--root \(GPFS_CSI_ROOT\) is missing: /),
      '--http-port (GPFS_CSI_HTTP_PORT) must be a whole number from 0 to 65535',
      expect.stringMatching(/^CSI_ENDPOINT is wrong: .*unix:\/\//),
    ]);
  });

  test.each([
    ['driver-name', ['a', '1csi', 'csi1', 'my csi', `a${'b'.repeat(63)}`]],
    ['node-id', ['a b', '../n', `a${'b'.repeat(128)}`]],
    ['max-volumes-per-node', ['0', '-1', 'many', '1.5']],
    ['trim-hours', ['-1', '8761', 'daily']],
    ['mm-dir', ['bin', '/a/../b', '/a//b']],
    ['mm-runner', ['ssh']],
    ['log-level', ['loud']],
    ['log-format', ['xml']],
    ['controller-endpoint', ['unix:c.sock', `unix:///${'x'.repeat(110)}.sock`]],
    ['owner', ['a b']],
    ['topology', ['yes', 'TRUE']],
    ['pool', ['-P']],
  ])('with --%s is reported by its name', (flag, values) => {
    for (const value of values) {
      const [first, ...more] = problems(['--root', '/a', `--${flag}=${value}`]);
      expect(first).toMatch(new RegExp(`^--${flag} \\(GPFS_CSI_[A-Z_]+\\) (must be|is wrong)`));
      expect(more).toEqual([]);
    }
  });

  test('is a driver name that no key of a root can begin with, once there are such keys', () => {
    const upper = ['--root', '/a', '--driver-name', 'My.csi'];
    expect(problems(upper)).toEqual([]);
    expect(problems([...upper, '--topology', 'true'])).toEqual([
      '--topology needs a --driver-name that is a domain name in lower case, which "My.csi" is not',
    ]);
    for (const name of ['a..csi', 'a-.csi', 'a_b.csi'])
      expect(problems([...upper.slice(0, 3), name, '--topology', 'true'])).toHaveLength(1);
  });

  test('is a flag given twice', () => {
    expect(problems(['--root', '/a', '--root', '/b'])).toEqual(['--root is given twice']);
  });

  test('is a missing endpoint', () => {
    expect(problems(['--root', '/a'], { CSI_ENDPOINT: '' })).toEqual([
      expect.stringContaining('CSI_ENDPOINT is missing'),
    ]);
  });
});

test('variables that Kubernetes makes of a service with such a name are let be', () => {
  const env = {
    GPFS_CSI_METRICS_SERVICE_HOST: '10.0.0.2',
    GPFS_CSI_METRICS_SERVICE_PORT_HTTP: '80',
    GPFS_CSI_METRICS_PORT: 'tcp://10.0.0.2:80',
    GPFS_CSI_METRICS_PORT_80_TCP_ADDR: '10.0.0.2',
    GPFS_CSI_POOL: '',
  };
  expect(problems(['--root', '/a'], env)).toEqual([]);
});

test('the configuration never changes, and can be shown', () => {
  const config = read(['--root', '/a']);
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.roots)).toBe(true);
  expect(describeConfig(config)).toEqual(config);
});

test('the kubelet gets our own path of the socket, unless it sees it elsewhere', () => {
  expect(read(['--root', '/r', '--registration-dir', '/reg']).registration).toEqual({
    directory: '/reg',
    endpoint: '/run/csi.sock',
  });
  const deep = `/${'x'.repeat(90)}`;
  expect(problems(['--root', '/r', '--registration-dir', deep])).toEqual([
    expect.stringMatching(
      /^--registration-dir: socket ".*" must be at most 107 bytes, and is 115;/,
    ),
  ]);
});
