import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { GiB, MiB, type Bytes } from '../../../src/model/bytes.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { superblock } from '../../../src/linux/disk-head.ts';
import { mountAs, publishAsk, stageAsk } from '../../support/node/requests.ts';
import { run, type Ground, type GroundVolume } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const known = (fsType: string) => ({ kind: 'filesystem', fsType }) as const;

/** Features, sizes and state of the ext4 in an image. */
const ext4In = ({ image }: GroundVolume): Promise<string> => run(['dumpe2fs', '-h', image], 'read');

/** What e2fsck says of an image; it changes nothing. */
const check = ({ image }: GroundVolume): Promise<string> =>
  run(['e2fsck', '-fn', image], 'read', { rights: 'all' });

/** A volume that an older version of the driver formatted. */
async function formattedBefore(bytes: Bytes, ...options: readonly string[]) {
  const ready = await ground.ready(mountAs('ext4'), bytes, known('ext4'));
  const argv = ['mkfs.ext4', '-q', '-F', '-b', '4096', ...options, ready.volume.image] as const;
  await run(argv, 'write', { rights: 'all' });
  return ready;
}

describe('a volume that has a file system', () => {
  test('is mounted as what it is, whatever type the class has', async () => {
    const { volume, ask } = await ground.ready(mountAs('xfs'));
    await ground.node.stage(ask);
    await writeFile(join(ask.stagingPath, 'kept'), 'data');
    await ground.node.unstage(volume.id, ask.stagingPath);
    await ground.attach(volume, mountAs('ext4'));
    await ground.node.stage(stageAsk(volume, ask.stagingPath, mountAs('ext4')));
    expect(await run(['findmnt', '-no', 'FSTYPE', ask.stagingPath], 'read')).toBe('xfs\n');
    expect(await readFile(join(ask.stagingPath, 'kept'), 'utf8')).toBe('data');
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await ground.content(volume)).toEqual(known('xfs'));
  });

  test.each(['ext4', 'xfs', 'btrfs'])(
    '%s is staged beside an mdadm superblock near the end, which once was on the disk',
    async (fsType) => {
      const { volume, ask } = await ground.ready(mountAs(fsType));
      await ground.node.stage(ask);
      await ground.node.unstage(volume.id, ask.stagingPath);
      await writeRaidSuperblock(volume, 512n * MiB);
      await ground.node.stage(ask);
      expect(await run(['findmnt', '-no', 'FSTYPE', ask.stagingPath], 'read')).toBe(`${fsType}\n`);
      await ground.node.unstage(volume.id, ask.stagingPath);
    },
  );

  test('and lost its own superblock is refused, whatever other signature is on it', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 512n * MiB, known('ext4'));
    await writeRaidSuperblock(volume, 512n * MiB);
    await expect(ground.node.stage(ask)).rejects.toThrow(
      'holds linux_raid_member and no file system',
    );
  });
});

/** The superblock of mdadm, version 1.0: 8 KiB before the end, in sectors of 4 KiB. */
async function writeRaidSuperblock({ image }: GroundVolume, bytes: Bytes): Promise<void> {
  const block = Buffer.alloc(4096);
  const sectors = bytes / 512n;
  const at = (sectors - 16n) & ~7n;
  block.writeUInt32LE(0xa92b4efc, 0);
  block.writeUInt32LE(1, 4);
  block.fill(0x5a, 16, 32);
  block.writeUInt32LE(1, 72);
  block.writeBigUInt64LE(at, 80);
  block.writeBigUInt64LE(at, 136);
  block.writeBigUInt64LE(at, 144);
  block.writeUInt32LE(raidChecksum(block), 216);
  const file = `${image}.raid`;
  await writeFile(file, block);
  const seek = [`seek=${at * 512n}`, 'oflag=seek_bytes', 'conv=notrunc', 'status=none'];
  await run(['dd', `if=${file}`, `of=${image}`, 'bs=4096', ...seek], 'write');
  await ground.store.files.unlink(file);
}

/** The sum over the superblock of no devices, without itself, which blkid of util-linux 2.41 compares. */
function raidChecksum(block: Buffer): number {
  let sum = 0n;
  for (let at = 0; at < 256; at += 4) sum += BigInt(block.readUInt32LE(at));
  return Number(((sum & 0xffff_ffffn) + (sum >> 32n)) & 0xffff_ffffn);
}

describe('an ext4 that grows far', () => {
  test.each([
    [16n * MiB, 400n * GiB],
    [64n * MiB, 100n * GiB],
    [120n * MiB, 200n * GiB],
  ])('from %d to %d bytes, it is whole and keeps its data', async (born, bytes) => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), born);
    await ground.node.stage(ask);
    await writeFile(join(ask.stagingPath, 'kept'), 'data');
    await ground.node.unstage(volume.id, ask.stagingPath);
    await ground.grow(volume, bytes);
    await ground.node.stage(ask);
    expect(await readFile(join(ask.stagingPath, 'kept'), 'utf8')).toBe('data');
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await superblock(volume.image)).toMatchObject({ bytes });
    await check(volume);
  });

  test('and was made by an older version, grows as far as its layout allows, and is used there', async () => {
    const { volume, ask, pod } = await formattedBefore(64n * MiB);
    await ground.grow(volume, 100n * GiB);
    const warnings: string[] = [];
    const warn = (_: unknown, text: string) => warnings.push(text);
    const node = ground.restarted({ log: { ...silentLog, warn } });
    await node.stage(ask);
    await node.publish(publishAsk(ask, pod));
    expect(await node.expand(volume.id, pod, undefined)).toBe(100n * GiB);
    await node.unpublish(volume.id, pod);
    await node.unstage(volume.id, ask.stagingPath);
    await node.stage(ask);
    await node.unstage(volume.id, ask.stagingPath);
    expect(warnings).toEqual([expect.stringContaining('stays smaller than its volume')]);
    await check(volume);
    expect(await superblock(volume.image)).toMatchObject({ bytes: 64n * GiB });
  });
});

describe('the journal of an ext4', () => {
  test('is there in the smallest volume', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 16n * MiB);
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await ext4In(volume)).toMatch(/^Filesystem features:.* has_journal/m);
  });

  test('is made when a volume grows that an older version formatted without one', async () => {
    const { volume, ask } = await formattedBefore(4n * MiB);
    expect(await ext4In(volume)).not.toMatch(/has_journal/);
    await ground.grow(volume, 64n * MiB);
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await ext4In(volume)).toMatch(/^Filesystem features:.* has_journal/m);
    await check(volume);
  });
});

describe('an ext4 that found errors', () => {
  test('is not grown while mounted, says why, and is checked and grown at the next stage', async () => {
    // One of ours becomes read-only at an error; with the default of mkfs, as in golden images, it goes on.
    const { volume, ask, pod } = await formattedBefore(512n * MiB);
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    const source = (await run(['findmnt', '-no', 'SOURCE', pod], 'read')).trim();
    const loop = /loop\d+/.exec(source)?.[0] ?? '';
    await writeFile(`/sys/fs/ext4/${loop}/trigger_fs_error`, 'test');
    await ground.grow(volume, 1024n * MiB);
    await expect(ground.node.expand(volume.id, pod, undefined)).rejects.toThrow(
      'has found errors, and the kernel grows no such file system while it is mounted',
    );
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await superblock(volume.image)).toMatchObject({ bytes: 1024n * MiB });
    await check(volume);
  });
});
