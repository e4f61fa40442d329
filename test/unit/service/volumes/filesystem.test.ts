import { describe, expect, test } from 'vitest';
import { GiB, MiB } from '../../../../src/model/bytes.ts';
import { silentLog } from '../../../../src/observe/log.ts';
import type { Driver } from '../../../../src/service/driver.ts';
import {
  block,
  clusterWithRoot,
  dataFiles,
  from,
  mounted,
  serverOn,
  snap,
  spec,
  testRoot,
} from '../../../support/memory/driver.ts';
import { btrfs, compat, ext4, xfs } from '../../../support/model/superblocks.ts';

/** What mkfs makes by default in 64 MiB: it can grow to 64 GiB. */
const ofOldVersion = ext4({ features: compat.journal | compat.resizeInode, reserved: 7 });

/** Records in the only volume that it has this file system, as the node that formatted it did. */
async function recordFilesystem(driver: Driver, fsType: string): Promise<void> {
  for (const { volumes } of await driver.roots.all())
    for (const shard of await volumes.shards())
      for (const id of (await volumes.ids(shard)).keys())
        await volumes.update(id, (record) => ({
          ...record,
          content: { kind: 'filesystem', fsType },
        }));
}

/** A snapshot of a volume of 64 MiB that holds this, and the lines of the log. */
async function withSource(head: Buffer, fsType: string, capability = mounted()) {
  const gpfs = await clusterWithRoot();
  const lines: string[] = [];
  const driver = serverOn(gpfs, 'a1', {
    log: { ...silentLog, info: (_, text) => lines.push(text) },
  });
  await driver.roots.all();
  const source = await driver.volumes.create(spec('source', { capabilities: [capability] }));
  gpfs.write(`${testRoot}/${dataFiles(gpfs)[0] ?? ''}`, 0, head.toString('latin1'));
  await recordFilesystem(driver, fsType);
  const cut = await driver.snapshots.create(snap('cut', source));
  return { gpfs, driver, source, cut, lines, ...driver };
}

const bytes = (requiredBytes: bigint) => ({ range: { requiredBytes, limitBytes: 0n } });

describe('a volume whose file system cannot grow that far', () => {
  test('is not restored or cloned into a larger claim, and nothing is left of the try', async () => {
    const { gpfs, volumes, source, cut } = await withSource(ofOldVersion, 'ext4');
    const before = dataFiles(gpfs);
    const capabilities = [mounted()];
    for (const of of [from('snapshot', cut), from('volume', source)]) {
      const wanted = { source: of, capabilities };
      await expect(
        volumes.create(spec('large', { ...wanted, ...bytes(100n * GiB) })),
      ).rejects.toThrow('the ext4 of the source was made so that it can grow to 64 GiB');
    }
    expect(dataFiles(gpfs)).toEqual(before);
    const most = { source: from('snapshot', cut), capabilities, ...bytes(64n * GiB) };
    expect(await volumes.create(spec('most', most))).toMatchObject({ bytes: 64n * GiB });
  });

  test('is not expanded, and keeps its size', async () => {
    const { volumes, source } = await withSource(ofOldVersion, 'ext4');
    const range = (requiredBytes: bigint) => ({ requiredBytes, limitBytes: 0n });
    await expect(volumes.expand(source.id, range(65n * GiB), undefined)).rejects.toThrow(
      /cannot have 65 GiB: its ext4 was made so that it can grow to 64 GiB/,
    );
    expect(await volumes.get(source.id)).toMatchObject({ bytes: 64n * MiB });
    expect(await volumes.expand(source.id, range(64n * GiB), mounted())).toBe(64n * GiB);
  });

  test('as a raw block volume it is its user who grows it', async () => {
    const { volumes, cut } = await withSource(ofOldVersion, 'ext4');
    const wanted = { source: from('snapshot', cut), capabilities: [block()] };
    const made = await volumes.create(spec('raw', { ...wanted, ...bytes(100n * GiB) }));
    const range = { requiredBytes: 200n * GiB, limitBytes: 0n };
    expect(await volumes.expand(made.id, range, undefined)).toBe(200n * GiB);
  });
});

describe('a restore into a class with another fsType', () => {
  test.each([
    ['xfs', xfs()],
    ['btrfs', btrfs()],
  ])('keeps %s, which its context and the log say', async (fsType, head) => {
    const { volumes, cut, lines } = await withSource(head, fsType);
    const wanted = { source: from('snapshot', cut), capabilities: [mounted()] };
    const made = await volumes.create(spec('restored', wanted));
    const context = {
      fileSystem: `is ${fsType}, as in the source; fsType ext4 is for empty volumes`,
    };
    expect(made).toMatchObject({ context, bytes: 64n * MiB });
    expect(await volumes.create(spec('restored', wanted))).toEqual(made);
    expect(lines.filter((line) => line.includes('another file system'))).toHaveLength(1);
  });

  test('of the same type says nothing', async () => {
    const { volumes, cut } = await withSource(xfs(), 'xfs');
    const parameters = { fsType: 'xfs' };
    const wanted = { source: from('snapshot', cut), capabilities: [mounted('')], parameters };
    expect(await volumes.create(spec('restored', wanted))).toMatchObject({ context: {} });
  });

  test('with a mount option that its file system does not have is refused', async () => {
    const { gpfs, volumes, cut } = await withSource(xfs(), 'xfs');
    const before = dataFiles(gpfs);
    const flags = (...each: string[]) => [
      { ...mounted(), access: { kind: 'mount', fsType: '', flags: each } as const },
    ];
    const wanted = {
      source: from('snapshot', cut),
      capabilities: flags('noatime', 'data=journal'),
    };
    await expect(volumes.create(spec('restored', wanted))).rejects.toThrow(
      'does not fit the xfs of the source: data is an option of ext4, not of xfs',
    );
    expect(dataFiles(gpfs)).toEqual(before);
    await volumes.create(spec('fits', { ...wanted, capabilities: flags('noatime', 'inode64') }));
  });
});

test('an empty volume with a mount option that its file system may not have is refused', async () => {
  const gpfs = await clusterWithRoot();
  const { volumes } = serverOn(gpfs, 'a1');
  const having = (fsType: string, flag: string) => [
    { ...mounted(), access: { kind: 'mount', fsType, flags: [flag] } as const },
  ];
  for (const [fsType, flag, why] of [
    ['ext4', 'inode64', 'inode64 is an option of xfs, not of ext4'],
    ['', 'nouuid', 'nouuid is an option of xfs, not of ext4'],
    ['xfs', 'commit=5', 'commit is an option of ext4 and btrfs, not of xfs'],
  ] as const)
    await expect(
      volumes.create(spec('refused', { capabilities: having(fsType, flag) })),
    ).rejects.toThrow(
      `a mount option that does not fit the ${fsType || 'ext4'} of the class: ${why}`,
    );
  expect(dataFiles(gpfs)).toEqual([]);
  const parameters = { fsType: 'xfs' };
  const made = await volumes.create(
    spec('fits', { capabilities: having('', 'nouuid'), parameters }),
  );
  const ask = { parameters: new Map(), mutable: new Map(), context: new Map() };
  const validated = (flag: string) =>
    volumes.validate(made.id, { ...ask, capabilities: having('', flag) });
  expect(await validated('inode64')).toEqual({ confirmed: true });
  expect(await validated('data=journal')).toEqual({
    confirmed: false,
    message: 'data is an option of ext4, not of xfs',
  });
});
