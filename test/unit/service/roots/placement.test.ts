import { describe, expect, test } from 'vitest';
import { GiB, KiB, MiB } from '../../../../src/model/bytes.ts';
import {
  block,
  clusterWithRoot,
  dataFiles,
  mounted,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from '../../../support/memory/driver.ts';
import { mmFails } from '../../../support/memory/breaking.ts';

const setup = async (options: Parameters<typeof clusterWithRoot>[0] = {}) => {
  const gpfs = await clusterWithRoot(options);
  const driver = serverOn(gpfs);
  await driver.roots.all();
  gpfs.resetCounts();
  return { gpfs, driver, ...driver };
};

const attributesOf = async (gpfs: Cluster, name: string): Promise<string> => {
  const file = dataFiles(gpfs).find((path) => path.includes(`/${name}.`)) ?? '';
  return gpfs.run(['mmlsattr', '-L', `${testRoot}/${file}`], 'read');
};

const everything = {
  pool: 'data',
  dataReplicas: '2',
  metadataReplicas: '2',
  directIO: 'true',
  writeAffinityDepth: '1',
  blockGroupFactor: '128',
  writeAffinityFailureGroup: '1,0,1;2,0,1',
};

describe('attributes', () => {
  test('are one command, on the file while it is empty', async () => {
    const { gpfs, volumes } = await setup();
    const calls: string[] = [];
    const run = gpfs.run;
    const view = { ...gpfs, run: watched(calls, gpfs, run) };
    const driver = serverOn(view, 'b1');
    await driver.roots.all();
    calls.length = 0;
    await driver.volumes.create(spec('v', { parameters: everything }));
    expect(calls.filter((call) => !call.startsWith('mmlspool'))).toEqual([
      expect.stringMatching(
        /^mmchattr -P data -m 2 -r 2 -D yes --block-group-factor 128 --write-affinity-depth 1 --write-affinity-failure-group 1,0,1;2,0,1 \S+\/v\.\S+ 0 blocks$/,
      ),
    ]);
    const shown = await attributesOf(gpfs, 'v');
    expect(shown).toMatch(/storage pool name: *data/);
    expect(shown).toMatch(/data replication: *2 max 2/);
    expect(shown).toMatch(/metadata replication: 2 max 2/);
    expect(shown).toMatch(/flags: *directio/);
    expect(await volumes.list({ max: 0, token: '' })).toMatchObject({ items: [{ context: {} }] });
  });

  test('a pool that was found once is not asked for again, a minute later neither', async () => {
    const { gpfs, volumes } = await setup();
    await volumes.create(spec('v1', { parameters: { pool: 'data' } }));
    gpfs.clock.tick(120_000);
    gpfs.resetCounts();
    await volumes.create(spec('v2', { parameters: everything }));
    expect([...gpfs.counts.commands]).toEqual([['mmchattr', 1]]);
  });

  test('are those of the own class for restores and clones, and the context says what stays', async () => {
    const { gpfs, volumes, snapshots } = await setup();
    const source = await volumes.create(spec('v'));
    const cut = await snapshots.create(snap('s', source));
    const asked = { source: from('snapshot', cut), parameters: { pool: 'data' } };
    const restored = await volumes.create(spec('r', asked));
    expect(await attributesOf(gpfs, 'r')).toMatch(/storage pool name: *data/);
    expect(await attributesOf(gpfs, 's')).toMatch(/storage pool name: *system/);
    const context = {
      sharedBlocks:
        'keep the placement of the source; pool data applies to blocks written after the clone',
    };
    expect(restored.context).toEqual(context);
    expect(await volumes.create(spec('r', asked))).toEqual(restored);
    expect((await volumes.get(restored.id)).context).toEqual(context);
    const again = { source: from('volume', restored), parameters: { pool: 'data' } };
    expect((await volumes.create(spec('c', again))).context).toEqual({});
  });

  test.each(['thin', 'thick'])(
    'without discards: the context of a %s block volume says whose go through all the same',
    async (provisioning) => {
      const { volumes } = await setup();
      const parameters = { provisioning, discard: 'off' };
      const made = await volumes.create(spec('v', { parameters }));
      expect(made.context).toEqual({
        discards: 'those of the user of the block device give blocks back all the same',
      });
      expect(await volumes.create(spec('v', { parameters }))).toEqual(made);
      const files = { parameters, capabilities: [mounted('ext4')] };
      expect((await volumes.create(spec('m', files))).context).toEqual({});
      expect((await volumes.create(spec('auto'))).context).toEqual({});
    },
  );

  test('the context is compared, as CSI asks, and an old or empty one is fine', async () => {
    const { volumes } = await setup();
    const source = from('volume', await volumes.create(spec('v')));
    const { id, context } = await volumes.create(
      spec('c', { source, parameters: { pool: 'data' } }),
    );
    const ask = (entries: Readonly<Record<string, string>>) =>
      volumes.validate(id, {
        capabilities: [block()],
        context: new Map(Object.entries(entries)),
        parameters: new Map(),
        mutable: new Map(),
      });
    expect(await ask(context)).toEqual({ confirmed: true });
    expect(await ask({})).toEqual({ confirmed: true });
    expect(await ask({ sharedBlocks: 'other' })).toMatchObject({ confirmed: false });
    expect(await ask({ other: 'x' })).toMatchObject({ confirmed: false });
  });

  test.each(['v', 'c'])(
    'when they cannot be set, no file, record or edge of %s is left',
    async (name) => {
      const { gpfs, volumes } = await setup();
      const source = from('volume', await volumes.create(spec('source')));
      await volumes.create(spec('first', { source }));
      const before = gpfs.paths().filter((path) => !path.includes('/records/'));
      const rest = { ...(name === 'c' ? { source } : {}), parameters: { pool: 'data' } };
      const broken = serverOn({ ...gpfs, run: mmFails(gpfs.run, 'mmchattr') }, 'b1');
      await expect(broken.volumes.create(spec(name, rest))).rejects.toThrow(/mmchattr/);
      const after = gpfs.paths().filter((path) => !/\/(?:records|nodes)\//.test(path));
      expect(after).toEqual(before.filter((path) => !path.includes('/nodes/')));
      expect((await volumes.create(spec(name, rest))).bytes).toBe(64n * MiB);
    },
  );
});

describe('what the file system cannot do is refused before anything is made', () => {
  test.each([
    [{ pool: 'nvme' }, /key "pool" names "nvme", .*it has system, data/],
    [{ dataReplicas: '3' }, /key "dataReplicas" is 3, .*allowed are 1 to 2/],
    [{ metadataReplicas: '3' }, /key "metadataReplicas" is 3, .*allowed are 1 to 2/],
    [{ encryptionAtRest: 'required' }, /key "encryptionAtRest" is required, but file system fs1/],
  ])('%j', async (parameters, words) => {
    const { gpfs, volumes } = await setup();
    const before = gpfs.paths();
    const refused = volumes.create(spec('v', { parameters }));
    await expect(refused).rejects.toThrow(words);
    await expect(refused).rejects.toMatchObject({ fault: { kind: 'invalid-request' } });
    expect(gpfs.paths()).toEqual(before);
  });

  test('encryption that was switched on meanwhile counts', async () => {
    const { gpfs, volumes } = await setup();
    const wanted = spec('v', { parameters: { encryptionAtRest: 'required' } });
    await expect(volumes.create(wanted)).rejects.toThrow(/encrypt/);
    gpfs.set({ encryption: true });
    gpfs.clock.tick(61_000);
    expect((await volumes.create(wanted)).bytes).toBe(64n * MiB);
  });
});

describe('capacity', () => {
  const ask = (parameters: Readonly<Record<string, string>> = {}) => ({
    capabilities: [block()],
    parameters: new Map(Object.entries(parameters)),
  });

  test('counts every copy, and asks once a minute', async () => {
    const { gpfs, capacity } = await setup({ totalKiB: 2n ** 20n });
    const { available } = await capacity.capacity(ask());
    expect(available).toBeGreaterThan(GiB - 32n * MiB);
    expect(available).toBeLessThan(GiB);
    expect([...gpfs.counts.commands]).toEqual([]);
    const twice = ask({ pool: 'data', dataReplicas: '2' });
    expect((await capacity.capacity(twice)).available).toBe(available / 2n);
    for (let n = 0; n < 50; n++) await capacity.capacity(twice);
    expect([...gpfs.counts.commands]).toEqual([['mmlspool', 1]]);
    gpfs.clock.tick(61_000);
    await capacity.capacity(twice);
    expect([...gpfs.counts.commands]).toEqual([['mmlspool', 2]]);
  });

  test('is rounded down, never up', async () => {
    const { capacity } = await setup({ personality: { filesetQuotaKiB: 1027 } });
    expect((await capacity.capacity(ask())).available).toBe(1024n * KiB);
  });

  test('is that of the fileset where it has a limit; what is in doubt counts as used', async () => {
    const personality = { filesetQuotaKiB: 4096, filesetUsedKiB: 1024, filesetInDoubtKiB: 512 };
    const { gpfs, capacity } = await setup({ personality });
    expect((await capacity.capacity(ask())).available).toBe(2560n * KiB);
    expect((await capacity.capacity(ask({ dataReplicas: '2' }))).available).toBe(1280n * KiB);
    expect([...gpfs.counts.commands]).toEqual([['mmlsquota', 1]]);
    gpfs.set({ filesetUsedKiB: 5000 });
    gpfs.clock.tick(61_000);
    expect((await capacity.capacity(ask())).available).toBe(0n);
  });

  test('is that of the pool that volumes get, though their class names none', async () => {
    const gpfs = await clusterWithRoot({ totalKiB: 2n ** 20n });
    const run: Cluster['run'] = async (argv, ...rest) => {
      const output = await gpfs.run(argv, ...rest);
      if (argv[0] !== 'mmlspool') return output;
      // The pool of small fast disks is nearly full.
      return output.replace(/^(data .* no +)(\d+) +(\d+)/m, '$1$2 65536');
    };
    const { capacity } = serverOn({ ...gpfs, run }, 'a1', { pool: 'data' });
    expect((await capacity.capacity(ask())).available).toBe(64n * MiB);
    expect((await capacity.capacity(ask({ pool: 'system' }))).available).toBeGreaterThan(GiB / 2n);
  });

  test('is 0 where there are blocks but no inodes', async () => {
    const gpfs = await clusterWithRoot();
    const left = { inodesFree: 1n };
    const space: typeof gpfs.files.space = async (path) => ({
      ...(await gpfs.files.space(path)),
      inodes: 1000n,
      ...left,
    });
    const { capacity } = serverOn({ ...gpfs, files: { ...gpfs.files, space } });
    expect((await capacity.capacity(ask())).available).toBeGreaterThan(GiB);
    left.inodesFree = 0n;
    expect((await capacity.capacity(ask())).available).toBe(0n);
  });

  test('is 0 where the class wants encryption and there is none', async () => {
    const { gpfs, capacity } = await setup();
    const wanted = ask({ encryptionAtRest: 'required' });
    expect((await capacity.capacity(wanted)).available).toBe(0n);
    gpfs.set({ encryption: true });
    gpfs.clock.tick(61_000);
    expect((await capacity.capacity(wanted)).available).toBeGreaterThan(0n);
  });

  test('is 0 while the file system is not mounted, whatever lies below the mount point', async () => {
    const { gpfs, capacity } = await setup();
    gpfs.set({ mounted: false });
    expect((await capacity.capacity(ask())).available).toBe(0n);
  });
});

type Run = Cluster['run'];

/** Notes each command, with the blocks that the file in its last argument has by then. */
const watched =
  (calls: string[], gpfs: Cluster, run: Run): Run =>
  async (argv, ...rest) => {
    const path = argv.at(-1) ?? '';
    const isFile = gpfs.paths().includes(path);
    const blocks = isFile ? ` ${String((await gpfs.files.held(path)) / 4096n)} blocks` : '';
    calls.push(`${argv.join(' ')}${blocks}`);
    return run(argv, ...rest);
  };
