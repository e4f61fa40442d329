import { open, stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { blockAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;
onGround((fresh) => {
  ground = fresh;
});

const bytes = 64n * MiB;
const size = Number(bytes);
const block = Buffer.alloc(Number(MiB), 7);

/** Bytes of a file that are on disk. */
const held = async (path: string) => (await stat(path)).blocks * 512;

/** Writes through a device until it takes no more; resolves to how much it took, and the last error. */
async function fill(path: string): Promise<readonly [taken: number, error: string]> {
  const device = await open(path, 'r+');
  try {
    let taken = 0;
    try {
      while (taken < 2 * size)
        taken += (await device.write(block, 0, block.length, taken)).bytesWritten;
    } catch (error) {
      return [taken, (error as NodeJS.ErrnoException).code ?? ''];
    } finally {
      await device.sync();
    }
    return [taken, ''];
  } finally {
    await device.close();
  }
}

test('the user of a raw block volume fills it to its size and no further', async () => {
  const { volume, ask, pod, done } = await stagedOn(ground, blockAs(), bytes);
  await ground.node.publish(publishAsk(ask, pod));
  const before = await held(volume.image);
  expect(before).toBeLessThan(size / 8);
  for (let round = 0; round < 2; round += 1) expect(await fill(pod)).toEqual([size, 'ENOSPC']);
  expect((await stat(volume.image)).size).toBe(size);
  expect(await held(volume.image)).toBeGreaterThanOrEqual(size);
  expect(await held(volume.image)).toBeLessThan(size + Number(MiB));
  await done(pod);
});

test('and cannot make it larger through its device', async () => {
  const { volume, ask, pod, done } = await stagedOn(ground, blockAs(), bytes);
  await ground.node.publish(publishAsk(ask, pod));
  const beyond = ['fallocate', '--offset', String(size), '--length', String(size), pod] as const;
  await expect(run(beyond, 'write')).rejects.toThrow('fallocate');
  // A loop device takes this order from everybody who may write to it; it reads the size of the image again.
  await run(['losetup', '--set-capacity', pod], 'write').catch(() => undefined);
  expect(await fill(pod)).toEqual([size, 'ENOSPC']);
  expect((await stat(volume.image)).size).toBe(size);
  await done(pod);
});
