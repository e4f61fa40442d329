import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../src/model/bytes.ts';
import { superblock } from '../../src/linux/superblock.ts';
import type { Run } from '../../src/run/run.ts';
import { blockAs, fault, mountAs, publishAsk } from './node-asks.ts';
import { run } from './node-ground.ts';
import { onGround, stagedOn } from './node-suite.ts';
import type { Ground } from './node-ground.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const staged = (capability = mountAs('ext4')) => stagedOn(ground, capability, 64n * MiB);

describe('a device that goes away when its last user lets go', () => {
  test("is never given to a pod: the next file behind it would be another tenant's", async () => {
    const { volume, ask, pod, done } = await staged(blockAs());
    const [loop = ''] = await ground.loops();
    const holder = await open(loop, 'r');
    await expect(ground.node.unstage(volume.id, ask.stagingPath)).rejects.toThrow(
      'does not go away',
    );
    const again = ground.node.stage(ask).then(() => ground.node.publish(publishAsk(ask, pod)));
    await expect(again).rejects.toEqual(fault('in-use'));
    await holder.close();
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    expect(await ground.loops()).toHaveLength(1);
    await done(pod);
  });
});

describe('somebody who detaches the device of a stage that is under way', () => {
  test('does not make it format or mount what comes behind the device next', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const other = join(ground.directory, 'shared', 'other-tenant.img');
    await run(['truncate', '-s', '64M', other], 'write');
    let next = '';
    const meddling: Run = async (argv, kind, options) => {
      if (argv[0] === 'mkfs.ext4' && next === '') {
        await run(['losetup', '-d', argv.at(-1) ?? ''], 'write');
        next = (await run(['losetup', '-f', '--show', '-b', '4096', other], 'write')).trim();
      }
      return run(argv, kind, options);
    };
    await ground.restarted({ run: meddling }).stage(ask);
    expect(await superblock(other)).toBeUndefined();
    expect(await superblock(volume.image)).toMatchObject({ type: 'ext4' });
    await run(['losetup', '-d', next], 'write');
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});
