import { randomBytes } from 'node:crypto';
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { partitionsOn } from '../../support/node/disks.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import {
  cloneOfDisk,
  contentOf,
  direct,
  disk,
  readSector,
  states,
  writeSector,
} from '../../support/node/images.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

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
      expect(partitionsOn(pod)).toEqual(['2048 2048']);
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
      const source = await disk(ground, 'gpt', blockAs());
      const { volume, ask } = source;
      await ground.node.stage(ask);
      const [device = ''] = await ground.loops();
      const { clone, askClone } = await cloneOfDisk(ground, source, 'sharing', 'gpt');
      // The source, in use meanwhile, works as before.
      const data = randomBytes(512);
      writeSector(device, 2049, data);
      expect(readSector(device, 2049).equals(data)).toBe(true);
      await ground.node.unstage(volume.id, ask.stagingPath);
      const written = await open(volume.image);
      const { buffer } = await written.read(Buffer.alloc(512), 0, 512, 2049 * 512);
      await written.close();
      expect(buffer.equals(data)).toBe(true);
      await expect(ground.node.stage(ask)).rejects.toThrow(reason);

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
      const source = await disk(ground, 'xfs', mountAs('xfs'));
      const { volume, ask } = source;
      await ground.node.stage(ask);
      await writeFile(join(ask.stagingPath, 'kept'), 'both', { flush: true });
      const { clone, askClone } = await cloneOfDisk(ground, source, 'beside', 'xfs');
      await ground.node.stage(askClone);
      for (const state of await states(ground)) expect(state).toMatchObject(direct);
      expect(await readFile(join(askClone.stagingPath, 'kept'), 'utf8')).toBe('both');
      await writeFile(join(askClone.stagingPath, 'kept'), 'mine', { flush: true });
      expect(await readFile(join(ask.stagingPath, 'kept'), 'utf8')).toBe('both');
      expect(await readFile(join(askClone.stagingPath, 'kept'), 'utf8')).toBe('mine');
      await ground.node.unstage(clone.id, askClone.stagingPath);
      await ground.node.unstage(volume.id, ask.stagingPath);
    });

    test.each(['zero', 'discard'] as const)(
      'one sector that is cut out by %s reads as zeros, those beside it and the source stay',
      async (how) => {
        const source = await disk(ground, 'gpt', blockAs());
        const { volume, ask } = source;
        await ground.node.stage(ask);
        const [first = ''] = await ground.loops();
        const data = randomBytes(512);
        for (const at of [2048, 2049, 2050]) writeSector(first, at, data);
        const { clone, askClone } = await cloneOfDisk(ground, source, `cut-${how}`, 'gpt');
        await ground.node.stage(askClone);
        const device = (await ground.loops()).find((path) => path !== first) ?? '';
        const flags = how === 'zero' ? ['-z'] : [];
        const place = ['-o', String(2049 * 512), '-l', '512'];
        await run(['blkdiscard', ...flags, ...place, device], 'write');
        expect(readSector(device, 2049).equals(Buffer.alloc(512))).toBe(true);
        for (const at of [2048, 2050]) expect(readSector(device, at).equals(data)).toBe(true);
        for (const at of [2048, 2049, 2050]) expect(readSector(first, at).equals(data)).toBe(true);
        await ground.node.unstage(clone.id, askClone.stagingPath);
        await ground.node.unstage(volume.id, ask.stagingPath);
      },
    );
  });
});
