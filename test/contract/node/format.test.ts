import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { GiB, MiB, TiB, type Bytes } from '../../../src/model/bytes.ts';
import type { FsType } from '../../../src/model/capability.ts';
import type { VolumeOptions } from '../../../src/model/class/parameters.ts';
import { smallestFor } from '../../../src/model/sizing.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import { observedRun } from '../../../src/run/observed.ts';
import type { Run } from '../../../src/run/run.ts';
import { fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const types: readonly FsType[] = ['ext4', 'xfs', 'btrfs'];

/** A new volume whose class said this of its file system. */
async function ofClass(options: VolumeOptions, bytes = 512n * MiB) {
  const ready = await ground.ready(mountAs(''), bytes);
  await ground.store.volumes.update(ready.volume.local, (record) => ({
    ...record,
    options: { ...options },
  }));
  return ready;
}

/** Stages and unstages a new volume; resolves to the commands and to what its image takes then. */
async function formatted(fsType: FsType, bytes: Bytes) {
  const { volume, ask } = await ground.ready(mountAs(fsType), bytes);
  const commands: string[] = [];
  const counting: Run = (argv, kind, options) => {
    commands.push(argv[0]);
    return run(argv, kind, options);
  };
  const node = ground.restarted({ run: counting });
  await node.stage(ask);
  const staged = [...commands];
  await node.unstage(volume.id, ask.stagingPath);
  const allocated = await ground.store.files.held(volume.image);
  await ground.store.files.unlink(volume.image);
  return { staged, allocated };
}

describe('a new file system', () => {
  test.each(types)('%s of 1 TiB takes the commands and about the space of 10 GiB', async (type) => {
    const small = await formatted(type, 10n * GiB);
    const large = await formatted(type, TiB);
    expect(large.staged).toEqual(small.staged);
    expect(large.allocated - small.allocated).toBeLessThan(16n * MiB);
    // XFS allocates its log of 64 MiB whatever the size.
    expect(large.allocated).toBeLessThan(type === 'xfs' ? 72n * MiB : 24n * MiB);
  });

  test.each(types)('%s, and a life after it, are nothing to warn of', async (fsType) => {
    const warnings: unknown[] = [];
    const quiet = () => undefined;
    const warn = (fields: unknown) => warnings.push(fields);
    const log = { debug: quiet, info: quiet, warn, error: warn };
    const node = ground.restarted({ run: observedRun(run, log, createMetrics()) });
    const { volume, ask, pod } = await ground.ready(mountAs(fsType));
    for (const each of ['new', 'formatted']) {
      await node.stage(ask);
      await node.publish(publishAsk(ask, pod));
      await node.unpublish(volume.id, pod);
      await node.unstage(volume.id, ask.stagingPath);
      expect(warnings, each).toEqual([]);
    }
  });

  test.each(types)('%s on the smallest volume there is for it', async (fsType) => {
    const { volume, ask } = await ground.ready(mountAs(fsType), smallestFor[fsType]);
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test.each(types)('has the type and the label of its class: %s', async (fsType) => {
    const { volume, ask } = await ofClass({ fsType, fsLabel: 'pg-data.1' });
    await ground.node.stage(ask);
    expect(await ground.content(volume)).toEqual({ kind: 'filesystem', fsType });
    await ground.node.unstage(volume.id, ask.stagingPath);
    const argv = ['blkid', '-p', '-o', 'export', volume.image] as const;
    const seen = await run(argv, 'read', { rights: 'all' });
    expect(seen).toContain('LABEL=pg-data.1\n');
  });

  test('ext4 keeps what we need of it beside the options of the class', async () => {
    const mkfsOptions = ['-m', '5', '-E', 'stride=4,lazy_journal_init=1', '-O', '^huge_file'];
    const { volume, ask } = await ofClass({ fsType: 'ext4', mkfsOptions });
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
    const seen = await run(['dumpe2fs', '-h', volume.image], 'read');
    expect(seen).toMatch(/^Filesystem features:(?=.* metadata_csum_seed)(?!.* huge_file)/m);
    expect(seen).toMatch(/^RAID stride: +4$/m);
    expect(seen).toMatch(/^Block size: +4096$/m);
    const blocks = Number(/^Block count: +(\d+)$/m.exec(seen)?.[1]);
    const reserved = Number(/^Reserved block count: +(\d+)$/m.exec(seen)?.[1]);
    expect(reserved / blocks).toBeCloseTo(0.05, 2);
  });

  test('xfs and btrfs take the options of their class', async () => {
    const xfs = await ofClass(
      { fsType: 'xfs', mkfsOptions: ['-d', 'agcount=2', '-l', 'size=80m'] },
      200n * GiB,
    );
    await ground.node.stage(xfs.ask);
    const info = await run(['xfs_info', xfs.ask.stagingPath], 'read');
    expect(info).toContain('agcount=2,');
    expect(info).toMatch(/^log .* blocks=20480,/m);
    await ground.node.unstage(xfs.volume.id, xfs.ask.stagingPath);
    const btrfs = await ofClass({ fsType: 'btrfs', mkfsOptions: ['--csum', 'xxhash'] });
    await ground.node.stage(btrfs.ask);
    await ground.node.unstage(btrfs.volume.id, btrfs.ask.stagingPath);
    const dump = await run(['btrfs', 'inspect-internal', 'dump-super', btrfs.volume.image], 'read');
    expect(dump).toContain('xxhash64');
  });

  test('options of one file system are not given to another', async () => {
    const { volume, ask } = await ofClass({ fsType: 'ext4', mkfsOptions: ['-N', '1000'] });
    const capability = mountAs('xfs');
    await ground.attach(volume, capability);
    await ground.node.stage({ ...ask, capability });
    expect(await ground.content(volume)).toEqual({ kind: 'filesystem', fsType: 'xfs' });
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('data that blkid does not know', () => {
  test.each([
    ['at the start', 0n],
    ['at the very end', 512n * MiB - 4096n],
    ['somewhere in the middle', 200n * MiB],
  ])('%s keeps an empty volume from being formatted', async (_, at) => {
    const { volume, ask } = await ground.ready(mountAs('ext4'));
    const seek = `seek=${at}`;
    const write = ['if=/dev/urandom', `of=${volume.image}`, 'bs=4096', 'count=1', 'conv=notrunc'];
    await run(['dd', ...write, 'oflag=seek_bytes', seek, 'status=none'], 'write');
    const before = await readFile(volume.image);
    await expect(ground.node.stage(ask)).rejects.toThrow('holds data that is no known file system');
    await expect(ground.node.stage(ask)).rejects.toEqual(fault('wrong-state'));
    expect(before.equals(await readFile(volume.image))).toBe(true);
  });

  test('space that is only reserved is no data', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'));
    await run(['fallocate', '-l', String(512n * MiB), volume.image], 'write');
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});
