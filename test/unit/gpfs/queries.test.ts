import { describe, expect, test } from 'vitest';
import { gpfsCommands } from '../../../src/gpfs/commands.ts';
import { attributeArguments } from '../../../src/gpfs/mmchattr.ts';
import { parseState } from '../../../src/gpfs/mmgetstate.ts';
import { parseAttributes } from '../../../src/gpfs/mmlsattr.ts';
import { parseConfig } from '../../../src/gpfs/mmlsconfig.ts';
import { parseFilesets } from '../../../src/gpfs/mmlsfileset.ts';
import { parseFileSystem } from '../../../src/gpfs/mmlsfs.ts';
import { parsePools } from '../../../src/gpfs/mmlspool.ts';
import { simulateGpfs } from '../../../src/simulator/memory/gpfs.ts';
import { releases } from '../../../src/simulator/core/personality.ts';

// Texts below are outputs as their commands were recorded on real clusters and published.

describe('mmgetstate', () => {
  test.each([
    ['', 'mmgetstate::0:1:::ib-nsd05.domain:11:active:4:7:1122::(undefined):'],
    [
      'daemonShortName:',
      'mmgetstate::0:1:::filer1:1:active:2:3:88:quorum node:(undefined):filer1:',
    ],
    [
      'daemonShortName:daemonNodeName:',
      'mmgetstate::0:1:::ec01:1:active:3:4:4:quorum node:(undefined):ec01:ec01:',
    ],
  ])('is read in the generation with %j', (more, row) => {
    const head =
      'mmgetstate::HEADER:version:reserved:reserved:nodeName:nodeNumber:state:quorum:nodesUp:totalNodes:remarks:cnfsState:';
    expect(parseState(`${head}${more}\n${row}\n`)).toBe('active');
    expect(parseState(`${head}${more}\n${row.replace('active', 'unresponsive')}\n`)).toBe(
      'unknown',
    );
    expect(() => parseState(`${head}${more}\n`)).toThrow(/does not know/);
  });
});

describe('mmlsconfig', () => {
  const config = (...rows: string[]): string =>
    [
      'mmlsconfig::HEADER:version:reserved:reserved:configParameter:value:nodeList:',
      'mmlsconfig::0:1:::clusterName:oglab.cn::',
      ...rows.map((row) => `mmlsconfig::0:1:::${row}:`),
    ].join('\n');

  test('gives every digit of the cluster id, and the dotted level', () => {
    const output = config('clusterId:2924343654772276122:', 'minReleaseLevel:5.2.1.0:');
    expect(parseConfig(output)).toEqual({
      clusterId: '2924343654772276122',
      minRelease: { kind: 'product', parts: [5, 2, 1, 0] },
    });
  });

  test('takes the level as an integer too, under either name', () => {
    for (const name of ['minReleaseLevel', 'minReleaseLeveldaemon']) {
      const { minRelease } = parseConfig(config('clusterId:7:', `${name}:1403:`));
      expect(minRelease).toEqual({ kind: 'format', parts: [14, 3] });
    }
  });

  test('does not take a value for some nodes for that of the cluster', () => {
    const output = config('clusterId:7:', 'minReleaseLevel:1403:n1', 'minReleaseLevel:1700:');
    expect(parseConfig(output).minRelease.parts).toEqual([17, 0]);
  });

  test('refuses a level or an id that it cannot read', () => {
    expect(() => parseConfig(config('clusterId:7:', 'minReleaseLevel:LATEST:'))).toThrow(/know/);
    expect(() => parseConfig(config('clusterId:7:'))).toThrow(/know/);
    expect(() => parseConfig(config('minReleaseLevel:1403:'))).toThrow(/know/);
  });
});

describe('mmlsfs', () => {
  const fs = (...rows: string[]): string =>
    [
      'mmlsfs::HEADER:version:reserved:reserved:deviceName:fieldName:data:remarks:',
      ...rows.map((row) => `mmlsfs::0:1:::FS1:${row}::`),
    ].join('\n');

  test('gives format, block size, pools and quotas', () => {
    const rows = ['blockSize:4194304', 'quotasEnforced:none', 'storagePools:system;data'];
    expect(parseFileSystem(fs('filesystemVersion:22.00 (5.0.4.0)', ...rows))).toEqual({
      name: 'FS1',
      version: { kind: 'format', parts: [22, 0] },
      blockSize: 4194304n,
      storagePools: ['system', 'data'],
      quotasEnforced: [],
      dataReplicas: { usual: 1, most: 3 },
      metadataReplicas: { usual: 1, most: 3 },
      encrypts: false,
    });
  });

  test('takes the largest block size, and the first version: what the file system has now', () => {
    const output = fs(
      'filesystemVersion:8.03 (2.3.0)',
      'filesystemVersionLocal:38.00 (6.0.0.0)',
      'blockSize:262144',
      'blockSize:8388608',
      'quotasEnforced:user;group;fileset',
    );
    expect(parseFileSystem(output)).toMatchObject({
      version: { parts: [8, 3] },
      blockSize: 8388608n,
      quotasEnforced: ['user', 'group', 'fileset'],
    });
  });

  test('gives copies and encryption', () => {
    const output = fs(
      'filesystemVersion:22.00 (5.0.4.0)',
      'blockSize:4194304',
      'encryption:Yes',
      'defaultDataReplicas:2',
      'maxDataReplicas:3',
      'defaultMetadataReplicas:2',
    );
    expect(parseFileSystem(output)).toMatchObject({
      dataReplicas: { usual: 2, most: 3 },
      metadataReplicas: { usual: 2, most: 3 },
      encrypts: true,
    });
    expect(() => parseFileSystem(`${output}\n${fs('maxMetadataReplicas:many')}`)).toThrow(/know/);
  });

  test('refuses a version or a block size that it cannot read', () => {
    expect(() => parseFileSystem(fs('filesystemVersion:new', 'blockSize:4'))).toThrow(/know/);
    expect(() => parseFileSystem(fs('filesystemVersion:22.00 (5)', 'blockSize:4M'))).toThrow(
      /know/,
    );
    expect(() => parseFileSystem(fs('filesystemVersion:22.00 (5)'))).toThrow(/know/);
  });
});

describe('mmlspool', () => {
  const title = "Storage pools in file system at '/fs/scratch':\n";
  const heading =
    'Name                    Id   BlkSize Data Meta Total Data in (KB)   Free Data in (KB)   Total Meta in (KB)    Free Meta in (KB)\n';

  test('gives names and sizes', () => {
    const output = `${title}${heading}system                   0      8 MB  yes  yes   783308292096   143079555072 ( 18%)   783308292096   205366984704 ( 26%)
fast-1               65537    256 KB   no   no  3064453922816  3064453922816 (100%)              0              0 (  0%)
`;
    expect(parsePools(output)).toEqual([
      {
        name: 'system',
        space: {
          blockSize: 8388608n,
          holdsData: true,
          total: 783308292096n * 1024n,
          free: 143079555072n * 1024n,
        },
      },
      {
        name: 'fast-1',
        space: {
          blockSize: 262144n,
          holdsData: false,
          total: 3064453922816n * 1024n,
          free: 3064453922816n * 1024n,
        },
      },
    ]);
  });

  test('gives names alone where an old release prints no more', () => {
    expect(
      parsePools(`${title}Name            Id\nsystem           0\nsp1          65537\n`),
    ).toEqual(['system', 'sp1'].map((name) => ({ name, space: undefined })));
  });

  test('refuses another form', () => {
    expect(() => parsePools(title)).toThrow(/know/);
    expect(() => parsePools(`${title}${heading}system 0 8 TB yes\n`)).toThrow(/know/);
  });
});

describe('mmlsattr', () => {
  const output = (fileset: string): string => `file name:            1GB.dat
metadata replication: 2 max 2
data replication:     1 max 2
immutable:            no
appendOnly:           no
flags:
storage pool name:    DATA
fileset name:         ${fileset}
snapshot name:
creation time:        Wed Mar  9 10:08:00 2022
Misc attributes:      ARCHIVE COMPRESSION (library z)
Encrypted:            no
`;

  test('gives the whole name of a fileset', () => {
    for (const fileset of ['csg', 'data-eng-cos', 'a.b:c_1']) {
      expect(parseAttributes(output(fileset))).toEqual({
        fileset,
        pool: 'DATA',
        data: { copies: 1, most: 2 },
        metadata: { copies: 2, most: 2 },
      });
    }
  });

  test('refuses a file without a fileset, and replication in another form', () => {
    expect(() => parseAttributes(output(''))).toThrow(/know/);
    expect(() => parseAttributes(output('f').replace('1 max 2', 'some'))).toThrow(/know/);
  });
});

describe('mmlsfileset', () => {
  const header =
    'mmlsfileset::HEADER:version:reserved:reserved:filesystemName:filesetName:id:rootInode:status:path:parentId:created:inodes:dataInKB:comment:filesetMode:afmTarget:\n';
  const root =
    'mmlsfileset::0:1:::project:root:0:3:Linked:%2Ffs%2Fproject:--:Wed May 18 10%3A41%3A35 2016:-:-:root fileset:off:-:\n';
  const unlinked =
    'mmlsfileset::0:1:::project:PAS1136:2:17255366659:Unlinked:%2D%2D:--:Wed Nov 22 14%3A29%3A26 2017:-:-::off:-:\n';

  test('tells where a fileset is linked', () => {
    expect(parseFilesets(header + root + unlinked)).toEqual([
      { name: 'root', id: '0', path: '/fs/project', afm: undefined },
      { name: 'PAS1136', id: '2', path: undefined, afm: undefined },
    ]);
  });

  test('tells the mode of AFM', () => {
    const cache = root.replace(':off:-:', ':independent-writer:nfs%3A%2F%2Fhome%2Fa:');
    expect(parseFilesets(header + cache)[0]?.afm).toBe('independent-writer');
    expect(parseFilesets(header + root.replace(':off:-:', ':off:home:'))[0]?.afm).toBeDefined();
  });
});

test('mmchattr gets one argument list for all attributes, and none for none', () => {
  expect(attributeArguments({})).toEqual([]);
  expect(attributeArguments({ pool: undefined })).toEqual([]);
  expect(
    attributeArguments({
      writeAffinityFailureGroup: '1,0:2',
      writeAffinityDepth: 1,
      blockGroupFactor: 128,
      directIo: false,
      dataReplicas: 2,
      metadataReplicas: 1,
      pool: 'data',
    }).join(' '),
  ).toBe(
    '-P data -m 1 -r 2 -D no --block-group-factor 128 --write-affinity-depth 1 --write-affinity-failure-group 1,0:2',
  );
});

describe.each(releases)('release %s, simulated', (release) => {
  test.each([false, true])('answers every question (a line of noise: %s)', async (garbage) => {
    const sim = simulateGpfs({ personality: { release, garbage } });
    const gpfs = gpfsCommands(sim.run);
    const file = `${sim.filesetPath}/a`;
    await sim.files.createSparse(file, 4096n, 0o660);
    expect(await gpfs.state()).toBe('active');
    expect((await gpfs.config()).clusterId).toMatch(/^\d{19}$/);
    const fs = await gpfs.fs('fs1');
    expect(fs.name).toBe('fs1');
    expect((await gpfs.pools('fs1')).map(({ name }) => name)).toEqual(fs.storagePools);
    await gpfs.setAttributes(file, { pool: fs.storagePools.at(-1), dataReplicas: 2 });
    expect(await gpfs.attributes(file)).toMatchObject({
      fileset: 'csi-data',
      pool: fs.storagePools.at(-1),
      data: { copies: 2 },
    });
    expect(await gpfs.fileset('fs1', 'csi-data')).toMatchObject({ path: sim.filesetPath });
    expect(await gpfs.fileset('fs1', 'none')).toBeUndefined();
  });

  test('a file system that the cluster does not know is a matter of configuration', async () => {
    const { fs } = gpfsCommands(simulateGpfs({ personality: { release } }).run);
    await expect(fs('fs9')).rejects.toMatchObject({ fault: { kind: 'misconfigured' } });
  });
});

test('a failure that ends with status 0 is a failure', async () => {
  const sim = simulateGpfs({ personality: { zeroOnFailure: true } });
  const gpfs = gpfsCommands(sim.run);
  await expect(gpfs.fs('fs9')).rejects.toMatchObject({ name: 'DriverError' });
  expect(sim.counts.commands.get('mmlsfs')).toBe(1);
});
