import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { hostMounts } from '../../../src/run/host-files.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;
onGround((fresh) => {
  ground = fresh;
});

const bytes = 64n * MiB;
const mounts = hostMounts();
const kubelet = () => join(ground.directory, 'kubelet');
const data = () => join(ground.directory, 'data');

/** Binds a directory to that of the kubelet, so that a mount in one appears in the other too. */
async function bound(origin: string, use: () => Promise<void>): Promise<void> {
  for (const each of [origin, kubelet()]) await mkdir(each, { recursive: true });
  await run(['mount', '--bind', origin, origin], 'write');
  await run(['mount', '--make-shared', origin], 'write');
  await run(['mount', '--bind', origin, kubelet()], 'write');
  try {
    await use();
  } finally {
    // Where both are one directory, the umount of util-linux 2.41 takes both mounts away at once, and an older one does not.
    for (const each of [kubelet(), origin])
      if ((await mounts()).some(({ point }) => point === each))
        await run(['umount', '-R', each], 'write');
  }
}

const origins = [
  ['another directory', data],
  ['itself', kubelet],
] as const;

describe.each(origins)("a kubelet's directory that is a bind of %s", (_, origin) => {
  test.each([
    ['ext4', mountAs('ext4'), false],
    ['ext4, published read-only', mountAs('ext4'), true],
    ['a block device', blockAs(), false],
    ['a block device, published read-only', blockAs('SINGLE_NODE_MULTI_WRITER'), true],
    ['ext4 for many readers', mountAs('ext4', 'MULTI_NODE_READER_ONLY'), true],
  ])('a volume lives its whole life there: %s', async (__, capability, readonly) => {
    await bound(origin(), async () => {
      const { volume, ask, pod, done } = await stagedOn(ground, capability, bytes);
      await ground.node.publish(publishAsk(ask, pod, readonly));
      await ground.node.publish(publishAsk(ask, pod, readonly));
      await ground.node.stage(ask);
      expect(await ground.node.stats(volume.id, pod)).not.toEqual([]);
      expect(await ground.restarted().reconcile()).toEqual([]);
      await done(pod);
      expect(await ground.loops()).toEqual([]);
    });
  });
});

describe("a kubelet's directory that is a bind of another directory", () => {
  test('a mount of the volume at a place of its own still holds it', async () => {
    await bound(data(), async () => {
      const { ask, done } = await stagedOn(ground, mountAs('ext4'), bytes);
      await writeFile(join(ask.stagingPath, 'kept'), 'x');
      const place = join(ground.directory, 'by-hand');
      await mkdir(place);
      await run(['mount', '--bind', ask.stagingPath, place], 'write');
      await expect(done()).rejects.toEqual(fault('in-use'));
      expect(await readFile(join(place, 'kept'), 'utf8')).toBe('x');
      await run(['umount', place], 'write');
      await done();
    });
  });

  test('the copy of a mount is unmounted also where the bind was made private meanwhile', async () => {
    await bound(data(), async () => {
      const { done } = await stagedOn(ground, mountAs('ext4'), bytes);
      await run(['mount', '--make-rprivate', data()], 'write');
      await done();
      expect(await ground.loops()).toEqual([]);
    });
  });
});
