import { describe, expect, test } from 'vitest';
import { gpfsCommands } from '../../../../src/gpfs/commands.ts';
import { CommandFailed, type Run } from '../../../../src/run/run.ts';
import { checkRoot, type StartupHost } from '../../../../src/service/roots/startup.ts';
import { simulateGpfs, type GpfsOptions } from '../../../../src/simulator/memory/gpfs.ts';
import { daemonStates, releases } from '../../../../src/simulator/core/personality.ts';

const setUp = (options: GpfsOptions = {}) => {
  const sim = simulateGpfs(options);
  const gpfs = gpfsCommands(sim.run);
  const host: StartupHost = {
    gpfs,
    files: sim.files,
    mounts: sim.mounts,
    mountType: 'gpfs',
    pool: undefined,
  };
  return { sim, host, root: sim.filesetPath };
};

const reasonOf = async (host: StartupHost, root: string): Promise<string> => {
  const result = await checkRoot(host, root);
  return result.kind === 'ready' ? 'ready' : `${result.kind}: ${result.reason}`;
};

describe.each(releases)('a root on release %s', (release) => {
  test('is ready, and its facts are known', async () => {
    const { sim, host, root } = setUp({ personality: { release } });
    await sim.files.makeDirectory(`${root}/volumes`, 0o750);
    const result = await checkRoot({ ...host, pool: 'system' }, root);
    expect(result).toMatchObject({
      kind: 'ready',
      facts: { root, fileSystem: 'fs1', fileset: 'csi-data', blockSize: 4194304n },
    });
  });
});

describe('while GPFS is not there the driver is starting', () => {
  test.each(daemonStates.filter((state) => state !== 'active'))('daemon %s', async (daemon) => {
    const { host, root } = setUp({ personality: { daemon } });
    expect(await reasonOf(host, root)).toMatch(/^starting: .*GPFS.*(start|see)/);
  });

  test('not mounted, and then mounted', async () => {
    const { sim, host, root } = setUp({ personality: { mounted: false } });
    expect(await reasonOf(host, root)).toMatch(
      /^starting: root .* is on \/ of type ext4 .*mmmount/,
    );
    sim.set({ mounted: true });
    expect(await reasonOf(host, root)).toBe('ready');
  });

  test('a command that hangs', async () => {
    const { host, root } = setUp({ personality: { hang: ['mmlsfs'] } });
    expect(await reasonOf(host, root)).toMatch(/^starting: mmlsfs fs1 -Y failed: .*in time/);
  });
});

test('a failure that nobody knows may pass', async () => {
  const { sim, host, root } = setUp();
  const run: Run = (argv, ...more) => {
    if (argv[0] !== 'mmlsfs') return sim.run(argv, ...more);
    const stderr = 'mmlsfs: something new\n';
    return Promise.reject(new CommandFailed({ argv, exitCode: 5, stdout: '', stderr }));
  };
  expect(await reasonOf({ ...host, gpfs: gpfsCommands(run) }, root)).toMatch(
    /^starting: mmlsfs fs1 -Y failed: it ended with status 5/,
  );
});

describe('the driver cannot work', () => {
  test('outside of a cluster', async () => {
    const { host, root } = setUp({ personality: { member: false } });
    expect(await reasonOf(host, root)).toMatch(/^impossible: .*mmaddnode/);
  });

  test('without its pool', async () => {
    const { host, root } = setUp();
    expect(await reasonOf({ ...host, pool: 'gold' }, root)).toMatch(
      /^impossible: .*no storage pool gold; it has system/,
    );
  });

  test.each([
    [
      'below the cluster level of clones',
      [/minReleaseLevel:[^:]*/, 'minReleaseLevel:1199'],
      /cluster is at release level 11\.99, .*mmchconfig release=LATEST/,
    ],
    [
      'on an old format',
      [/filesystemVersion:[^:]*/, 'filesystemVersion:11.05 (3.3.0.2)'],
      /file system fs1 is at format 11\.05, .*mmchfs fs1 -V full/,
    ],
    [
      'in a fileset of AFM',
      [/:off:-:/, ':single-writer:nfs%3A%2F%2Fhome:'],
      /fileset csi-data of fs1 is managed by AFM \(single-writer\)/,
    ],
  ] as const)('%s', async (_, [from, to], reason) => {
    const { sim, host, root } = setUp();
    // Stands for another cluster: the same answers but for one value.
    const run: Run = async (...call) => (await sim.run(...call)).replace(from, to);
    const answer = await reasonOf({ ...host, gpfs: gpfsCommands(run) }, root);
    expect(answer).toMatch(/^impossible: /);
    expect(answer).toMatch(reason);
  });

  test('with a root that is no directory', async () => {
    const { sim, host, root } = setUp();
    await sim.files.createDurable(`${root}/file`, '', 0o600);
    expect(await reasonOf(host, `${root}/file`)).toMatch(/^impossible: .* but a file file/);
    expect(await reasonOf(host, `${root}/none`)).toMatch(/^impossible: .*does not exist; create/);
    expect(await reasonOf(host, 'csi')).toMatch(/^impossible: root csi is not an absolute path/);
  });

  test('with a root that is a symbolic link', async () => {
    const { sim, host, root } = setUp();
    const link = { ...(await sim.files.stat(root)), kind: 'symlink' as const };
    const files = { ...sim.files, stat: () => Promise.resolve(link) };
    expect(await reasonOf({ ...host, files }, root)).toMatch(/^impossible: .* symbolic link; name/);
  });

  test('with a root that another fileset is linked into', async () => {
    const { sim, host, root } = setUp();
    await sim.run(['mmcrfileset', 'fs1', 'other'], 'write');
    await sim.run(['mmlinkfileset', 'fs1', 'other', '-J', `${root}/volumes`], 'write');
    expect(await reasonOf(host, root)).toMatch(
      /^impossible: .* is in fileset csi-data but .*\/volumes is in other; /,
    );
  });
});

test('each root has a result of its own', async () => {
  const { host, root } = setUp();
  expect((await checkRoot(host, root)).kind).toBe('ready');
  expect((await checkRoot(host, `${root}/none`)).kind).toBe('impossible');
});

test('a defect is not taken for an answer', async () => {
  const { host, root } = setUp();
  const mounts = () => Promise.reject(new TypeError('defect'));
  await expect(checkRoot({ ...host, mounts }, root)).rejects.toThrow('defect');
});
