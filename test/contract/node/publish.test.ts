import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import type { AccessMode } from '../../../src/model/capability.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, self, type Ground } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const staged = (capability = mountAs('ext4'), bytes = 64n * MiB) =>
  stagedOn(ground, capability, bytes);

/** Writes through a device, to the disk. */
async function writeTo(path: string): Promise<void> {
  const device = await open(path, 'r+');
  try {
    await device.write('hello');
    await device.sync();
  } finally {
    await device.close();
  }
}

const isThere = (path: string) =>
  ground.store.files.stat(path).then(
    () => true,
    () => false,
  );

describe('publish of a file system', () => {
  test('a pod sees the data of the volume; repeats are fine; the target goes away', async () => {
    const { volume, ask, pod, done } = await staged();
    for (let i = 0; i < 3; i += 1) await ground.node.publish(publishAsk(ask, pod));
    await writeFile(join(pod, 'a'), 'hello');
    expect(await readFile(join(ask.stagingPath, 'a'), 'utf8')).toBe('hello');
    for (let i = 0; i < 3; i += 1) await ground.node.unpublish(volume.id, pod);
    expect(await isThere(pod)).toBe(false);
    await done();
  });

  test('case 79: without a stage it is refused, and an unknown volume is missing', async () => {
    const { ask, pod } = await ground.ready(mountAs('ext4'));
    await expect(ground.node.publish(publishAsk(ask, pod))).rejects.toEqual(fault('wrong-state'));
    const unstaged = { ...publishAsk(ask, pod), stagingPath: '' };
    await expect(ground.node.publish(unstaged)).rejects.toEqual(fault('wrong-state'));
    const unknown = { ...publishAsk(ask, pod), id: 'fake-vol-id' };
    await expect(ground.node.publish(unknown)).rejects.toEqual(fault('volume-missing'));
    expect(await isThere(pod)).toBe(false);
  });

  test('with another mode or file system than it was staged with it is refused', async () => {
    const { ask, pod, done } = await staged();
    for (const capability of [mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER'), mountAs('xfs')])
      await expect(ground.node.publish({ ...publishAsk(ask, pod), capability })).rejects.toThrow(
        'is staged with another capability',
      );
    expect(await isThere(pod)).toBe(false);
    // The kubelet may give a pod the volume without the label that the first one had, or with it.
    const labelled = mountAs('ext4', 'SINGLE_NODE_WRITER', ['noatime']);
    await ground.node.publish({ ...publishAsk(ask, pod), capability: labelled });
    await done(pod);
  });

  test('case 80: the same target with readonly flipped is refused and stays as it is', async () => {
    const { ask, pod, done } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await expect(ground.node.publish(publishAsk(ask, pod, true))).rejects.toEqual(
      fault('used-differently'),
    );
    await writeFile(join(pod, 'a'), '');
    await done(pod);
  });

  test.each<[AccessMode, 'refused' | 'fine']>([
    ['SINGLE_NODE_WRITER', 'refused'],
    ['SINGLE_NODE_READER_ONLY', 'refused'],
    ['SINGLE_NODE_SINGLE_WRITER', 'refused'],
    ['SINGLE_NODE_MULTI_WRITER', 'fine'],
  ])('case 81, 82: a second target with %s is %s', async (mode, outcome) => {
    const { ask, pod, done } = await staged(mountAs('ext4', mode));
    await ground.node.publish(publishAsk(ask, pod));
    const second = publishAsk(ask, `${pod}-2`);
    if (outcome === 'fine') await ground.node.publish(second);
    else await expect(ground.node.publish(second)).rejects.toEqual(fault('wrong-state'));
    expect(await isThere(`${pod}-2`)).toBe(outcome === 'fine');
    await done(pod, `${pod}-2`);
  });

  test('case 83: an unstage while published is refused, and the pod continues', async () => {
    const { volume, ask, pod, done } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await expect(ground.node.unstage(volume.id, ask.stagingPath)).rejects.toEqual(fault('in-use'));
    await writeFile(join(pod, 'a'), 'still here');
    expect(await readFile(join(ask.stagingPath, 'a'), 'utf8')).toBe('still here');
    await done(pod);
  });

  test('case 83: a bind that somebody else made keeps the volume staged', async () => {
    const { volume, ask, done } = await staged();
    const other = await ground.place('subpath');
    await run(['mount', '--bind', ask.stagingPath, other], 'write');
    await expect(ground.node.unstage(volume.id, ask.stagingPath)).rejects.toThrow('subpath');
    await writeFile(join(ask.stagingPath, 'a'), '');
    await run(['umount', other], 'write');
    await done();
  });

  test('case 87: a read-only publication refuses writes while another one writes', async () => {
    const { ask, pod, done } = await staged(mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER'));
    await ground.node.publish(publishAsk(ask, pod, true));
    await ground.node.publish(publishAsk(ask, `${pod}-rw`));
    await expect(writeFile(join(pod, 'a'), '')).rejects.toThrow('EROFS');
    await writeFile(join(`${pod}-rw`, 'a'), '');
    await done(pod, `${pod}-rw`);
  });

  test('a read-only bind that died before its second step is completed', async () => {
    const { ask, pod, done } = await staged();
    await mkdir(pod);
    await run(['mount', '--bind', ask.stagingPath, pod], 'write');
    await ground.node.publish(publishAsk(ask, pod, true));
    await expect(writeFile(join(pod, 'a'), '')).rejects.toThrow('EROFS');
    await done(pod);
  });
});

describe('publish of a raw block volume', () => {
  test('the pod gets the device, and what it writes is in the image', async () => {
    const { volume, ask, pod, done } = await staged(blockAs());
    await ground.node.publish(publishAsk(ask, pod));
    await ground.node.publish(publishAsk(ask, pod));
    await writeTo(pod);
    expect((await readFile(volume.image)).toString('utf8', 0, 5)).toBe('hello');
    expect(await ground.loops()).toHaveLength(1);
    await done(pod);
    expect(await isThere(pod)).toBe(false);
  });

  test('case 87: a read-only publication of a writable volume gets a read-only device of its own', async () => {
    const { volume, ask, pod, done } = await staged(blockAs('SINGLE_NODE_MULTI_WRITER'));
    await ground.node.publish(publishAsk(ask, pod, true));
    await ground.node.publish(publishAsk(ask, pod, true));
    expect(await ground.loops()).toHaveLength(2);
    await expect(writeTo(pod)).rejects.toThrow(/EACCES|EROFS|EPERM/);
    await ground.node.publish(publishAsk(ask, `${pod}-rw`));
    expect(await ground.loops()).toHaveLength(2);
    await ground.node.unpublish(volume.id, pod);
    expect(await ground.loops()).toHaveLength(1);
    await done(`${pod}-rw`);
  });

  test('case 87: a read-only attachment has a read-only device only', async () => {
    const { volume, ask, pod } = await ground.ready(blockAs(), 64n * MiB);
    await ground.attach(volume, blockAs(), true);
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    await expect(writeTo(pod)).rejects.toThrow(/EACCES|EROFS|EPERM/);
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await ground.content(volume)).toEqual({ kind: 'empty' });
  });

  test('case 82: several targets with a mode of many nodes', async () => {
    const { ask, pod, done } = await staged(blockAs('MULTI_NODE_MULTI_WRITER'));
    await ground.node.publish(publishAsk(ask, pod));
    await ground.node.publish(publishAsk(ask, `${pod}-2`));
    await done(pod, `${pod}-2`);
  });
});

describe('unpublish from any half state', () => {
  test('case 84: unmounted by somebody else', async () => {
    const { ask, pod, done } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await run(['umount', pod], 'write');
    await done(pod);
    expect(await isThere(pod)).toBe(false);
  });

  test('case 84: target removed, and its parent too', async () => {
    const { ask, pod, done } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await run(['umount', pod], 'write');
    await rm(dirname(pod), { recursive: true });
    await done(pod);
  });

  test.each([mountAs('ext4'), blockAs()])(
    'case 84: a file or directory of the other kind',
    async (capability) => {
      const { ask, pod, done } = await staged(capability);
      await ground.node.publish(publishAsk(ask, pod));
      await run(['umount', pod], 'write');
      await rm(pod, { recursive: true });
      if (capability.access.kind === 'mount') await writeFile(pod, '');
      else await mkdir(pod);
      await done(pod);
      expect(await isThere(pod)).toBe(false);
    },
  );

  test('case 84: mounted twice over', async () => {
    const { ask, pod, done } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await run(['mount', '--bind', ask.stagingPath, pod], 'write');
    await done(pod);
    expect(await isThere(pod)).toBe(false);
  });

  test('case 84: after a reboot nothing of the boot before counts', async () => {
    const { volume, ask, pod } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await run(['umount', pod], 'write');
    await run(['umount', ask.stagingPath], 'write');
    for (const loop of await ground.loops()) await run(['losetup', '-d', loop], 'write');
    const rebooted = ground.restarted({ self: { ...self, bootId: 'boot-2' } });
    await rebooted.unpublish(volume.id, pod);
    expect(await isThere(pod)).toBe(false);
    await rebooted.stage(ask);
    await rebooted.publish(publishAsk(ask, pod));
    await rebooted.unpublish(volume.id, pod);
    await rebooted.unstage(volume.id, ask.stagingPath);
  });

  test('files that were written under the mount are not thrown away', async () => {
    const { volume, ask, pod, done } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await run(['umount', pod], 'write');
    await writeFile(join(pod, 'mine'), 'data');
    await expect(ground.node.unpublish(volume.id, pod)).rejects.toEqual(fault('wrong-state'));
    expect(await readFile(join(pod, 'mine'), 'utf8')).toBe('data');
    await rm(join(pod, 'mine'));
    await done(pod);
  });

  test('an unknown volume: nothing to do, and what somebody else mounted stays', async () => {
    const place = await ground.place('foreign');
    await ground.node.unpublish('fake-vol-id', join(place, 'nothing'));
    await run(['mount', '-t', 'tmpfs', 'tmpfs', place], 'write');
    await expect(ground.node.unpublish('fake-vol-id', place)).rejects.toEqual(fault('wrong-state'));
    expect(await ground.mountPoints()).toEqual([place]);
    await run(['umount', place], 'write');
  });
});
