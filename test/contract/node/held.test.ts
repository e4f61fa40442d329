import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { superblock } from '../../../src/linux/disk-head.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground, type Ready } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const staged = (capability = mountAs('ext4')) => stagedOn(ground, capability, 64n * MiB);

describe('a device that ends when its last user closes it', () => {
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

/** A process that dies when it has attached a device and could not name it yet. */
const diesAttached: Run = async (argv, kind, options) => {
  const output = await run(argv, kind, options);
  if (argv[0] === 'losetup' && kind === 'write') throw new Error('died');
  return output;
};

/** Dead, so that it does not even clean up. */
function deadAfter(first: Run): Run {
  let isDead = false;
  return (argv, kind, options) => {
    if (isDead) return Promise.reject(new Error('died'));
    return first(argv, kind, options).catch((error: unknown) => {
      isDead = true;
      throw error;
    });
  };
}

/** Gives the image that a record of this node names the number of another file, as XFS does once it is free. */
async function renumber({ volume }: Pick<Ready, 'volume'>, inode: bigint): Promise<void> {
  const path = join(ground.directory, 'state', 'volumes', `${volume.id}.json`);
  const old = (await ground.store.files.stat(volume.image)).inode;
  const text = await readFile(path, 'utf8');
  expect(text).toContain(`"inode": "${old}"`);
  await writeFile(path, text.replace(`"inode": "${old}"`, `"inode": "${inode}"`));
  await ground.store.files.unlink(volume.image);
}

describe('what a stage that died had attached', () => {
  test('is known by more than its inode, which the image of another volume may have by now', async () => {
    const gone = await ground.ready(blockAs(), 64n * MiB);
    await expect(
      ground.restarted({ run: deadAfter(diesAttached) }).stage(gone.ask),
    ).rejects.toThrow();
    for (const loop of await ground.loops()) await run(['losetup', '-d', loop], 'write');
    const other = await ground.ready(blockAs(), 64n * MiB);
    await renumber(gone, (await ground.store.files.stat(other.volume.image)).inode);
    await ground.node.stage(other.ask);
    const before = await ground.loops();
    await ground.node.unstage(gone.volume.id, gone.ask.stagingPath);
    expect(await ground.loops()).toEqual(before);
    await ground.node.unstage(other.volume.id, other.ask.stagingPath);
  });

  test('is taken down at a start, so that a device put there by hand later is not taken for it', async () => {
    const { volume, ask, pod, done } = await staged(blockAs());
    const dying = ground.restarted({ run: deadAfter(diesAttached) });
    await expect(dying.publish(publishAsk(ask, pod, true))).rejects.toThrow();
    expect(await ground.loops()).toHaveLength(2);
    await ground.restarted().reconcile();
    expect(await ground.loops()).toHaveLength(1);
    const byHand = (await run(['losetup', '-f', '--show', volume.image], 'write')).trim();
    await done(pod);
    expect(await ground.loops()).toEqual([byHand]);
    await run(['losetup', '-d', byHand], 'write');
  });
});
