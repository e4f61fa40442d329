import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { whyNotDirect } from '../../../src/linux/loop.ts';
import { sectorBytesIn } from '../../../src/linux/disk-head.ts';
import { losetup } from '../../../src/linux/losetup.ts';
import { MiB } from '../../../src/model/bytes.ts';
import { systemClock } from '../../../src/run/clock.ts';
import type { Run } from '../../../src/run/run.ts';
import { partitionsOn } from '../../support/node/disks.ts';
import { mortal } from '../../support/node/mortal.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import {
  contentOf,
  direct,
  disk,
  readSector,
  recordSectors,
  sizes,
  states,
  writeSector,
} from '../../support/node/images.ts';
import { run, type Below, type Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

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
    expect(partitionsOn(pod)).toEqual(['2048 2048']);
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

  test('is read sector by sector before it is used', async () => {
    const { volume } = await disk(ground, 'gpt', blockAs());
    const loops = losetup(run, systemClock);
    const small = await loops.attach(volume.image, { readonly: false, sectorBytes: 512 });
    expect(await whyNotDirect(small.path, 512)).toBeUndefined();
    await loops.detach(small);
    const large = await loops.attach(volume.image, { readonly: false });
    expect(await whyNotDirect(large.path, 4096)).toBeUndefined();
    expect(await whyNotDirect(large.path, 512)).toBe(
      'one sector of 512 bytes cannot be read from it (EINVAL)',
    );
    await loops.detach(large);
  });

  test('read-only beside the writable one: a second device with the same sectors', async () => {
    const { volume, ask, pod } = await disk(ground, 'gpt', blockAs('SINGLE_NODE_MULTI_WRITER'));
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod, true));
    await ground.node.publish(publishAsk(ask, `${pod}-2`));
    const both = await states(ground);
    expect(both.map((state) => state?.readonly).sort()).toEqual([false, true]);
    for (const state of both) expect(state).toMatchObject(direct);
    for (const target of [pod, `${pod}-2`]) expect(partitionsOn(target)).toEqual(['2048 2048']);
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

  test('a stage starts no more processes than with the usual sectors', async () => {
    const { volume, ask } = await disk(ground, 'xfs', mountAs('xfs'));
    const started: string[] = [];
    const counting: Run = (argv, kind, options) => {
      started.push(argv[0]);
      return run(argv, kind, options);
    };
    await ground.restarted({ run: counting }).stage(ask);
    expect(started).toEqual(['losetup', 'losetup', 'blkid', 'mount']);
    await ground.node.unstage(volume.id, ask.stagingPath);
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

  test('a device with other sectors that a dead attempt left is not used', async () => {
    const { volume, ask } = await deadAfterAttach(ground);
    expect(await states(ground)).toEqual([expect.objectContaining({ sectorBytes: 4096 })]);
    await recordSectors(ground, volume, 512);
    await ground.restarted().stage(ask);
    expect(await states(ground)).toEqual([expect.objectContaining(direct)]);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('a process that dies while it stages a disk for sectors of 512 bytes', () => {
  let ground: Ground;
  onGround(
    (fresh) => {
      ground = fresh;
    },
    { type: 'xfs', sectorBytes: 512 },
  );

  test('the next one ends it, from anywhere', async () => {
    let reached = true;
    let at = 0;
    while (reached) {
      at += 1;
      for (const when of ['before', 'after'] as const) {
        const { volume, ask } = await disk(ground, 'gpt', blockAs());
        const { last, ports } = mortal(run, { at, when }, die);
        await ground
          .restarted(ports)
          .stage(ask)
          .catch(() => undefined);
        await ground.restarted().stage(ask);
        expect(await states(ground)).toEqual([expect.objectContaining(direct)]);
        await ground.restarted().unstage(volume.id, ask.stagingPath);
        expect(await ground.leaks()).toEqual([]);
        reached = last() !== undefined;
      }
    }
    expect(at).toBeGreaterThan(2);
  });
});

const die = (): never => {
  throw new Error('the process died');
};

/** A disk for sectors of 512 bytes that a process attached with those of 4096, which was its last step. */
async function deadAfterAttach(ground: Ground) {
  for (let at = 1; ; at += 1) {
    const made = await disk(ground, 'gpt', blockAs());
    await recordSectors(ground, made.volume, 4096);
    const { last, ports } = mortal(run, { at, when: 'after' }, die);
    await expect(ground.restarted(ports).stage(made.ask)).rejects.toThrow();
    expect(last()).toBeDefined();
    if (last()?.startsWith('$ losetup')) return made;
    await ground.restarted().unstage(made.volume.id, made.ask.stagingPath);
  }
}
