import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../src/model/bytes.ts';
import type { Capability } from '../../src/model/capability.ts';
import { loopState } from '../../src/linux/sysblock.ts';
import { sectorBytesIn } from '../../src/linux/imagefile.ts';
import { gptDisk } from '../support/disks.ts';
import { mortal } from '../support/mortal.ts';
import { blockAs, fault, mountAs, publishAsk, stageAsk } from './node-asks.ts';
import { run } from './node-ground.ts';
import { onGround } from './node-suite.ts';
import type { Below, Ground, GroundVolume } from './node-ground.ts';

const sizes = { gpt: 16n * MiB, ext4: 320n * MiB, xfs: 320n * MiB };

/** What is put on an image before it becomes a volume. */
const disks = {
  gpt: (image: string) => gptDisk(image, Number(sizes.gpt), 512, [{ first: 2048, last: 4095 }]),
  xfs: async (image: string, ground: Ground) => {
    // Made elsewhere: on an XFS with larger sectors mkfs makes none with such.
    const elsewhere = join(ground.directory, 'xfs.raw');
    await run(['truncate', '-s', String(sizes.xfs), elsewhere], 'write');
    await run(['mkfs.xfs', '-q', '-f', '-s', 'size=512', elsewhere], 'write');
    await run(['cp', '--reflink=never', '--sparse=always', elsewhere, image], 'write');
    await run(['rm', elsewhere], 'write');
  },
  ext4: async (image: string) => {
    await run(['mkfs.ext4', '-q', '-F', '-b', '1024', image], 'write');
  },
} as const;

/** A volume as an adopted disk is one: its sector size in the record, its content never to be formatted. */
async function disk(ground: Ground, kind: keyof typeof disks, capability: Capability) {
  const ready = await ground.ready(capability, sizes[kind], { kind: 'unknown' });
  await disks[kind](ready.volume.image, ground);
  const sectorBytes = await sectorBytesIn(ready.volume.image);
  await recordSectors(ground, ready.volume, sectorBytes);
  expect(sectorBytes).toBe(512);
  return ready;
}

const recordSectors = (ground: Ground, { local }: GroundVolume, sectorBytes: number) =>
  ground.store.volumes.update(local, (record) => ({ ...record, sectorBytes }));

const states = async (ground: Ground) => Promise.all((await ground.loops()).map(loopState));

/** Partitions as `first sector, sectors` that the table on a device shows to whoever asks for its sectors. */
const partitions = (device: string): readonly string[] =>
  execFileSync('partx', ['--show', '-g', '-o', 'START,SECTORS', device], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => (line.trim() === '' ? [] : [line.trim().replace(/ +/, ' ')]));

/** One sector of 512 bytes, straight to the device and back. */
function writeSector(device: string, at: number, data: Buffer): void {
  const one = ['bs=512', 'count=1', 'status=none'];
  execFileSync('dd', [`of=${device}`, `seek=${at}`, 'oflag=direct', 'conv=fsync,notrunc', ...one], {
    input: data,
  });
}
const readSector = (device: string, at: number): Buffer =>
  execFileSync('dd', [`if=${device}`, `skip=${at}`, 'iflag=direct', 'bs=512', 'count=1'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });

/** The blocks of an image, and its first MiB: what a format would change. */
const contentOf = async ({ store }: Ground, { image }: GroundVolume) => {
  await using handle = await open(image);
  const { buffer } = await handle.read(Buffer.alloc(2 ** 20), 0, 2 ** 20, 0);
  return { held: await store.files.held(image), head: buffer.toString('base64') };
};

const direct = { directIo: true, sectorBytes: 512 };

/** XFS takes direct I/O in its device's sectors while a file shares no blocks; btrfs at any time. */
const working: readonly (readonly [string, Below])[] = [
  ['an XFS of 512', { type: 'xfs', sectorBytes: 512 }],
  ['a btrfs', { type: 'btrfs', sectorBytes: 4096 }],
];

describe.each(working)('a disk for sectors of 512 bytes on %s', (_, below) => {
  let ground: Ground;
  onGround((fresh) => {
    ground = fresh;
  }, below);

  test('as a block device has them, with direct I/O; a guest finds its partitions', async () => {
    const { volume, ask, pod } = await disk(ground, 'gpt', blockAs());
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    expect(await states(ground)).toEqual([expect.objectContaining(direct)]);
    expect(partitions(pod)).toEqual(['2048 2048']);
    // Finding them is the guest's: partitions of a volume are no devices of the node.
    const [loop = ''] = await ground.loops();
    expect(await readFile(`/sys/block/${loop.slice(5)}/loop/partscan`, 'utf8')).toBe('0\n');
    const data = randomBytes(512);
    writeSector(pod, 2049, data);
    expect(readSector(pod, 2049).equals(data)).toBe(true);
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
    const image = await readFile(volume.image);
    expect(image.subarray(2049 * 512, 2050 * 512).equals(data)).toBe(true);
  });

  test('read-only beside the writable one: a second device with the same sectors', async () => {
    const { volume, ask, pod } = await disk(ground, 'gpt', blockAs('SINGLE_NODE_MULTI_WRITER'));
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod, true));
    await ground.node.publish(publishAsk(ask, `${pod}-2`));
    const both = await states(ground);
    expect(both.map((state) => state?.readonly).sort()).toEqual([false, true]);
    for (const state of both) expect(state).toMatchObject(direct);
    for (const target of [pod, `${pod}-2`]) expect(partitions(target)).toEqual(['2048 2048']);
    for (const target of [pod, `${pod}-2`]) await ground.node.unpublish(volume.id, target);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('on several nodes at once, and for readers only', async () => {
    for (const mode of ['MULTI_NODE_MULTI_WRITER', 'MULTI_NODE_READER_ONLY'] as const) {
      const { volume, ask } = await disk(ground, 'gpt', blockAs(mode));
      await ground.node.stage(ask);
      const readonly = mode === 'MULTI_NODE_READER_ONLY';
      expect(await states(ground)).toEqual([expect.objectContaining({ ...direct, readonly })]);
      await ground.node.unstage(volume.id, ask.stagingPath);
    }
  });

  test.each(['xfs', 'ext4'] as const)('%s is mounted, kept, and grown', async (fsType) => {
    const { volume, ask, pod } = await disk(ground, fsType, mountAs(fsType));
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    const data = randomBytes(100_000);
    await writeFile(join(pod, 'kept'), data, { flush: true });
    expect(await states(ground)).toEqual([expect.objectContaining(direct)]);
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
    const bytes = sizes[fsType];
    await ground.grow(volume, 2n * bytes);
    await ground.node.stage(ask);
    expect((await readFile(join(ask.stagingPath, 'kept'))).equals(data)).toBe(true);
    const { total } = await ground.store.files.space(ask.stagingPath);
    expect(total).toBeGreaterThan(bytes + bytes / 2n);
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await sectorBytesIn(volume.image)).toBe(512);
  });

  test('xfs grows in use, and space comes back', async () => {
    const { volume, ask, pod } = await disk(ground, 'xfs', mountAs('xfs'));
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    await ground.grow(volume, 2n * sizes.xfs);
    expect(await ground.node.expand(volume.id, pod, undefined)).toBe(2n * sizes.xfs);
    await writeFile(join(pod, 'big'), randomBytes(64 * 2 ** 20), { flush: true });
    const full = await ground.store.files.held(volume.image);
    await run(['rm', join(pod, 'big')], 'write');
    await run(['sync', '-f', pod], 'write');
    await run(['fstrim', pod], 'write');
    expect(await ground.store.files.held(volume.image)).toBeLessThan(full - 48n * MiB);
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('xfs for many readers: the journal replayed once, then read-only devices', async () => {
    const reading = mountAs('xfs', 'MULTI_NODE_READER_ONLY');
    const { volume, ask } = await disk(ground, 'xfs', reading);
    await ground.attach(volume, reading, true);
    await ground.node.stage(ask);
    const readonly = { ...direct, readonly: true };
    expect(await states(ground)).toEqual([expect.objectContaining(readonly)]);
    await expect(writeFile(join(ask.stagingPath, 'x'), '')).rejects.toThrow('EROFS');
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('a disk with partitions is no file system: refused as it is, and not formatted', async () => {
    const { volume, ask } = await disk(ground, 'gpt', mountAs('ext4'));
    const before = await contentOf(ground, volume);
    const attempt = ground.node.stage(ask);
    await expect(attempt).rejects.toEqual(fault('wrong-state'));
    await expect(attempt).rejects.toThrow(
      'holds a gpt partition table and no file system; use it as a block volume',
    );
    expect(await contentOf(ground, volume)).toEqual(before);
  });

  test.each([
    ['gpt', blockAs()],
    ['xfs', mountAs('xfs')],
  ] as const)('%s as %j: a stage that dies anywhere is ended by the next', async (kind, as) => {
    let reached = true;
    let at = 0;
    while (reached) {
      at += 1;
      for (const when of ['before', 'after'] as const) {
        const { volume, ask } = await disk(ground, kind, as);
        const { died, ports } = mortal(run, at, when, () => {
          throw new Error('the process died');
        });
        await ground
          .restarted(ports)
          .stage(ask)
          .catch(() => undefined);
        await ground.restarted().stage(ask);
        expect(await states(ground)).toEqual([expect.objectContaining(direct)]);
        await ground.restarted().unstage(volume.id, ask.stagingPath);
        expect(await ground.leaks()).toEqual([]);
        reached = died();
      }
    }
    expect(at).toBeGreaterThan(2);
  });

  test('a device with other sectors that a dead attempt left is not used', async () => {
    const { volume, ask } = await disk(ground, 'gpt', blockAs());
    await recordSectors(ground, volume, 4096);
    const dying = mortal(run, 4, 'after', () => {
      throw new Error('the process died');
    });
    await expect(ground.restarted(dying.ports).stage(ask)).rejects.toThrow('died');
    expect(await states(ground)).toEqual([expect.objectContaining({ sectorBytes: 4096 })]);
    await recordSectors(ground, volume, 512);
    await ground.restarted().stage(ask);
    expect(await states(ground)).toEqual([expect.objectContaining(direct)]);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('where the kernel has no direct I/O in sectors of 512 bytes', () => {
  const reason =
    /^volume \S+ cannot be staged: its disk was made for sectors of 512 bytes, .*no direct I\/O.*gpfs-csi export/;

  describe('because the device under the file system has larger ones', () => {
    let ground: Ground;
    onGround((fresh) => {
      ground = fresh;
    });

    test.each([
      ['gpt', blockAs()],
      ['gpt', blockAs('MULTI_NODE_MULTI_WRITER')],
      ['xfs', mountAs('xfs')],
      ['xfs', mountAs('xfs', 'MULTI_NODE_READER_ONLY')],
    ] as const)('%s as %j is refused with the reason, and stays as it was', async (kind, as) => {
      const { volume, ask } = await disk(ground, kind, as);
      const before = await contentOf(ground, volume);
      const attempt = ground.node.stage(ask);
      await expect(attempt).rejects.toEqual(fault('wrong-state'));
      await expect(attempt).rejects.toThrow(reason);
      expect(await ground.leaks()).toEqual([]);
      expect(await contentOf(ground, volume)).toEqual(before);
    });

    test('only who takes buffered devices gets one, never for several nodes', async () => {
      const taking = ground.restarted({ allowBuffered: true });
      const { volume, ask, pod } = await disk(ground, 'gpt', blockAs());
      await taking.stage(ask);
      await taking.publish(publishAsk(ask, pod));
      const buffered = { directIo: false, sectorBytes: 512 };
      expect(await states(ground)).toEqual([expect.objectContaining(buffered)]);
      expect(partitions(pod)).toEqual(['2048 2048']);
      await taking.unpublish(volume.id, pod);
      await taking.unstage(volume.id, ask.stagingPath);
      const shared = await disk(ground, 'gpt', blockAs('MULTI_NODE_MULTI_WRITER'));
      await expect(taking.stage(shared.ask)).rejects.toThrow(reason);
    });
  });

  describe('because XFS shares blocks of the file', () => {
    let ground: Ground;
    onGround(
      (fresh) => {
        ground = fresh;
      },
      { type: 'xfs', sectorBytes: 512 },
    );

    test('a clone is refused, its source too from the next stage on, and a whole copy works', async () => {
      const { volume, ask } = await disk(ground, 'gpt', blockAs());
      await ground.node.stage(ask);
      const [device = ''] = await ground.loops();
      const clone = await ground.clone(volume, 'sharing', sizes.gpt);
      // In use meanwhile, the source goes on as before.
      const data = randomBytes(512);
      writeSector(device, 2049, data);
      expect(readSector(device, 2049).equals(data)).toBe(true);
      await ground.node.unstage(volume.id, ask.stagingPath);
      const written = await open(volume.image);
      const { buffer } = await written.read(Buffer.alloc(512), 0, 512, 2049 * 512);
      await written.close();
      expect(buffer.equals(data)).toBe(true);
      await expect(ground.node.stage(ask)).rejects.toThrow(reason);

      await recordSectors(ground, clone, 512);
      await ground.attach(clone, blockAs());
      const askClone = stageAsk(clone, await ground.place('sharing'), blockAs());
      await expect(ground.node.stage(askClone)).rejects.toThrow(reason);
      const copy = `${clone.image}.copy`;
      await run(['cp', '--reflink=never', '--sparse=always', clone.image, copy], 'write');
      await run(['mv', copy, clone.image], 'write');
      const { ino: inode } = await stat(clone.image, { bigint: true });
      await ground.store.volumes.update(clone.local, (record) => ({
        ...record,
        image: record.image && { ...record.image, inode },
      }));
      await ground.node.stage(askClone);
      expect(await states(ground)).toEqual([expect.objectContaining(direct)]);
      await ground.node.unstage(clone.id, askClone.stagingPath);
    });
  });

  describe('but on a btrfs, whose clones have it', () => {
    let ground: Ground;
    onGround(
      (fresh) => {
        ground = fresh;
      },
      { type: 'btrfs', sectorBytes: 512 },
    );

    test('a clone beside its mounted source reads and writes what is its own', async () => {
      const { volume, ask } = await disk(ground, 'xfs', mountAs('xfs'));
      await ground.node.stage(ask);
      await writeFile(join(ask.stagingPath, 'kept'), 'both', { flush: true });
      const clone = await ground.clone(volume, 'beside', sizes.xfs);
      await recordSectors(ground, clone, 512);
      await ground.attach(clone, mountAs('xfs'));
      const askClone = stageAsk(clone, await ground.place('beside'), mountAs('xfs'));
      await ground.node.stage(askClone);
      for (const state of await states(ground)) expect(state).toMatchObject(direct);
      expect(await readFile(join(askClone.stagingPath, 'kept'), 'utf8')).toBe('both');
      await writeFile(join(askClone.stagingPath, 'kept'), 'mine', { flush: true });
      expect(await readFile(join(ask.stagingPath, 'kept'), 'utf8')).toBe('both');
      await ground.node.unstage(clone.id, askClone.stagingPath);
      await ground.node.unstage(volume.id, ask.stagingPath);
    });
  });
});
