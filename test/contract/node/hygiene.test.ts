import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, self, type Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

/** A process that dies after its n-th command of a kind, and does nothing more, no cleaning up either. */
function dyingAfter(program: string, count = 1): Run {
  let left = count;
  return async (argv, kind, options) => {
    if (left === 0) throw new Error('died');
    const output = await run(argv, kind, options);
    if (argv[0] === program && kind === 'write') left -= 1;
    if (left === 0) throw new Error('died');
    return output;
  };
}

const byHand = async (image: string) =>
  (await run(['losetup', '-f', '--show', image], 'write')).trim();

describe('case 86: one device for a volume', () => {
  test('20 callers at once make one, the others get the answer that it is under way', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => ground.node.stage(ask)));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const each of all)
      if (each.status === 'rejected') expect(each.reason).toEqual(fault('busy'));
    expect(await ground.loops()).toHaveLength(1);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('one that nobody came to name is taken down by an unstage too', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await expect(ground.restarted({ run: dyingAfter('losetup') }).stage(ask)).rejects.toThrow();
    expect(await ground.loops()).toHaveLength(1);
    await ground.restarted().unstage(volume.id, ask.stagingPath);
  });

  test('the read-only one of a publication that died is taken down by unpublish and unstage', async () => {
    const { volume, ask, pod } = await ground.ready(blockAs(), 64n * MiB);
    await ground.node.stage(ask);
    const dying = ground.restarted({ run: dyingAfter('losetup') });
    await expect(dying.publish(publishAsk(ask, pod, true))).rejects.toThrow();
    expect(await ground.loops()).toHaveLength(2);
    await ground.restarted().unpublish(volume.id, pod);
    await ground.restarted().unstage(volume.id, ask.stagingPath);
  });
});

describe('a device that somebody put on an image by hand', () => {
  test('is named and left alone, also after an attempt of ours was cut short', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const foreign = await byHand(volume.image);
    for (const node of [ground.node, ground.restarted()]) {
      const refused = node.stage(ask);
      await expect(refused).rejects.toEqual(fault('wrong-state'));
      await expect(refused).rejects.toThrow(`is attached to ${foreign} already`);
    }
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await ground.loops()).toEqual([foreign]);
    await run(['losetup', '-d', foreign], 'write');
  });

  test('under another name of the file is found all the same', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const other = join(ground.directory, 'shared', 'other-name');
    await run(['ln', volume.image, other], 'write');
    const foreign = await byHand(other);
    await expect(ground.node.stage(ask)).rejects.toThrow(`is attached to ${foreign} already`);
    await run(['losetup', '-d', foreign], 'write');
    await run(['rm', other], 'write');
  });

  test('keeps a staged volume that lost its own device from being staged again', async () => {
    const { volume, ask } = await ground.ready(blockAs(), 64n * MiB);
    await ground.node.stage(ask);
    const [own = ''] = await ground.loops();
    await run(['losetup', '-d', own], 'write');
    const foreign = await byHand(volume.image);
    await expect(ground.restarted().stage(ask)).rejects.toThrow('is attached to');
    expect(await ground.loops()).toEqual([foreign]);
    await run(['losetup', '-d', foreign], 'write');
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('a lazy unmount by somebody else', () => {
  test('is no success: an unstage fails while a process has a file open, and the retry ends it', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    const [device = ''] = await ground.loops();
    const holder = await open(join(ask.stagingPath, 'held'), 'w');
    await run(['umount', '-l', ask.stagingPath], 'write');
    const refused = ground.restarted().unstage(volume.id, ask.stagingPath);
    await expect(refused).rejects.toEqual(fault('in-use'));
    await expect(refused).rejects.toThrow(`${device} does not go away`);
    // Still the device of this volume: it was not given back, and no other node may have the image.
    expect(await ground.loops()).toEqual([device]);
    expect(await ground.marks()).toHaveLength(1);
    await holder.close();
    await ground.restarted().unstage(volume.id, ask.stagingPath);
    expect(await ground.loops()).toEqual([]);
  });

  test('is never ours: a mount in use stays, and an unpublish and an unstage say so', async () => {
    const { volume, ask, pod } = await ground.ready(mountAs('xfs'), 320n * MiB);
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    const inPod = await open(join(pod, 'held'), 'w');
    await expect(ground.node.unpublish(volume.id, pod)).rejects.toEqual(fault('in-use'));
    expect(await ground.mountPoints()).toContain(pod);
    await inPod.close();
    await ground.node.unpublish(volume.id, pod);
    const inStaging = await open(join(ask.stagingPath, 'held'), 'r');
    const refused = ground.node.unstage(volume.id, ask.stagingPath);
    await expect(refused).rejects.toEqual(fault('in-use'));
    expect(await ground.mountPoints()).toEqual([ask.stagingPath]);
    expect(await ground.loops()).toHaveLength(1);
    await inStaging.close();
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('at start', () => {
  test('a stage that was cut short is left while the volume is attached here, then taken down', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await expect(ground.restarted({ run: dyingAfter('losetup') }).stage(ask)).rejects.toThrow();
    expect(await ground.restarted().reconcile()).toEqual([]);
    expect(await ground.loops()).toHaveLength(1);
    await ground.detach(volume);
    const [finding] = await ground.restarted().reconcile();
    expect(finding).toContain('was staged here half way');
    expect(await ground.restarted().reconcile()).toEqual([]);
    expect(await ground.leaks()).toEqual([]);
  });

  test('a record whose mount is gone is reported', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    await run(['umount', ask.stagingPath], 'write');
    const [finding] = await ground.restarted().reconcile();
    expect(finding).toContain('its mount is gone');
    await ground.node.stage(ask);
    expect(await ground.restarted().reconcile()).toEqual([]);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('a mount of an image without a record is reported and left alone', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    const lost = ground.restarted({ stateDirectory: join(ground.directory, 'state-lost') });
    const [finding] = await lost.reconcile();
    expect(finding).toContain('no record of this node names it');
    expect(finding).toContain(ask.stagingPath);
    expect(await ground.mountPoints()).toEqual([ask.stagingPath]);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('devices of the boot before are not looked for among those of this one', async () => {
    const { volume, ask } = await ground.ready(blockAs(), 64n * MiB);
    await expect(ground.restarted({ run: dyingAfter('losetup') }).stage(ask)).rejects.toThrow();
    const [other = ''] = await ground.loops();
    const rebooted = ground.restarted({ self: { ...self, bootId: 'boot-2' } });
    expect(await rebooted.reconcile()).toHaveLength(1);
    expect(await ground.loops()).toEqual([other]);
    await run(['losetup', '-d', other], 'write');
    await rebooted.unstage(volume.id, ask.stagingPath);
  });
});

test('a container whose /dev has none of the nodes attaches all the same', async () => {
  const image = join(ground.directory, 'shared', 'container.img');
  await run(['truncate', '-s', '64M', image], 'write');
  const dev = join(ground.directory, 'dev');
  await mkdir(dev);
  // A /dev as a container has it: loop-control came in, the nodes of loop devices did not.
  const script = fileURLToPath(
    new URL('../../support/node/attach-in-container.ts', import.meta.url),
  );
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', process.execPath, script, dev, image],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const [status] = (await once(child, 'close')) as [number];
  expect(status).toBe(0);
  expect(output).toMatch(/^attached \/dev\/loop\d+, a node of its own; gone again\n$/);
});
