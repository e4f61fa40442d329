import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const staged = (capability = mountAs('ext4')) => stagedOn(ground, capability, 64n * MiB);

const failing =
  (program: string, word: string): Run =>
  (argv, kind, options) =>
    argv[0] === program && argv.some((each) => each.includes(word))
      ? run(['false'], kind, options)
      : run(argv, kind, options);

const isThere = (path: string) =>
  ground.store.files.stat(path).then(
    () => true,
    () => false,
  );

describe('what a tenant does in its own pod does not hold the volumes of others', () => {
  test('a directory of a memory volume that is named like a loop device', async () => {
    const { volume, ask } = await staged();
    const [loop = ''] = await ground.loops();
    const memory = await ground.place('memory');
    const subPath = await ground.place('sub-path');
    await run(['mount', '-t', 'tmpfs', 'tmpfs', memory], 'write');
    await mkdir(join(memory, basename(loop)));
    // What the kubelet does for a subPath of an emptyDir in memory.
    await run(['mount', '--bind', join(memory, basename(loop)), subPath], 'write');
    await ground.node.unstage(volume.id, ask.stagingPath);
    expect(await ground.loops()).toEqual([]);
    await run(['umount', subPath], 'write');
    await run(['umount', memory], 'write');
  });
});

describe('a publish that is refused or fails leaves nothing, for nobody may ever unpublish it', () => {
  const rwop = mountAs('ext4', 'SINGLE_NODE_SINGLE_WRITER');

  test('where something else is mounted: that stays, and another pod gets the volume', async () => {
    const { volume, ask, pod, done } = await staged(rwop);
    await mkdir(pod);
    await run(['mount', '-t', 'tmpfs', 'tmpfs', pod], 'write');
    await expect(ground.node.publish(publishAsk(ask, pod))).rejects.toEqual(fault('wrong-state'));
    await ground.node.publish(publishAsk(ask, `${pod}-2`));
    await expect(ground.node.unpublish(volume.id, pod)).rejects.toEqual(fault('wrong-state'));
    expect(await ground.mountPoints()).toContain(pod);
    await run(['umount', pod], 'write');
    await done(`${pod}-2`);
  });

  test('at a file of somebody: it stays, and an unstage goes through', async () => {
    const { ask, pod, done } = await staged(rwop);
    await writeFile(pod, '');
    await expect(ground.node.publish(publishAsk(ask, pod))).rejects.toThrow('is a file');
    await done();
    expect(await readFile(pod, 'utf8')).toBe('');
  });

  test.each([
    ['the bind', mountAs('ext4', 'SINGLE_NODE_SINGLE_WRITER'), failing('mount', 'bind')],
    ['the bind of a device', blockAs('SINGLE_NODE_SINGLE_WRITER'), failing('mount', 'bind')],
    ['the device', blockAs('SINGLE_NODE_SINGLE_WRITER'), failing('losetup', '--show')],
  ])('%s fails: no place, no device, no note', async (_, capability, broken) => {
    const { ask, pod, done } = await staged(capability);
    const node = ground.restarted({ run: broken });
    await expect(node.publish(publishAsk(ask, pod, true))).rejects.toEqual(fault('command-failed'));
    expect(await isThere(pod)).toBe(false);
    expect(await ground.loops()).toHaveLength(1);
    await ground.node.publish(publishAsk(ask, `${pod}-2`));
    await done(`${pod}-2`);
  });

  test('a repeated publish that fails does not take the pod its volume', async () => {
    const { ask, pod, done } = await staged(rwop);
    await ground.node.publish(publishAsk(ask, pod));
    await writeFile(join(pod, 'a'), 'x');
    const down = { byId: () => Promise.reject(new Error('down')) };
    await expect(ground.restarted({ roots: down }).publish(publishAsk(ask, pod))).rejects.toThrow();
    expect(await readFile(join(pod, 'a'), 'utf8')).toBe('x');
    await done(pod);
  });
});

describe('an unstage of a volume whose pod was removed by hand', () => {
  test('goes through when nothing is mounted for the pod any more', async () => {
    const { volume, ask, pod } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await run(['umount', pod], 'write');
    await run(['rmdir', pod], 'write');
    await ground.node.unstage(volume.id, ask.stagingPath);
    await ground.node.unpublish(volume.id, pod);
  });

  test('but never takes a device from under a container that may know its number', async () => {
    const { volume, ask, pod, done } = await staged(blockAs());
    await ground.node.publish(publishAsk(ask, pod));
    await run(['umount', pod], 'write');
    await expect(ground.node.unstage(volume.id, ask.stagingPath)).rejects.toEqual(fault('in-use'));
    await done(pod);
  });
});
