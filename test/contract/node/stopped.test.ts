import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const severalPods = (fsType: string) => mountAs(fsType, 'SINGLE_NODE_MULTI_WRITER');

/** What a kernel does whose device answers with errors. */
const stops: Record<string, (stagingPath: string) => Promise<unknown>> = {
  'xfs that was shut down': (path) => run(['xfs_io', '-x', '-c', 'shutdown', path], 'write'),
  'ext4 that was shut down': (path) => run(['xfs_io', '-x', '-c', 'shutdown', path], 'write'),
  'ext4 that found an error and turned read-only': async () => {
    const [loop = ''] = await ground.loops();
    await writeFile(join('/sys/fs/ext4', basename(loop), 'trigger_fs_error'), '1');
  },
};
const kinds = Object.entries(stops).map(([what, stop]) => ({
  what,
  stop,
  fsType: what.split(' ')[0] ?? '',
}));

describe.each(kinds)('a file system that stopped: $what', ({ fsType, stop }) => {
  const stopped = async (pods: 'in a pod' | 'in none') => {
    const ready = await stagedOn(ground, severalPods(fsType), 320n * MiB);
    await writeFile(join(ready.ask.stagingPath, 'kept'), 'data', { flush: true });
    if (pods === 'in a pod') await ground.node.publish(publishAsk(ready.ask, ready.pod));
    await stop(ready.ask.stagingPath);
    return ready;
  };

  test('is unpublished and unstaged, and its data is there at the next stage', async () => {
    const { ask, pod, done } = await stopped('in a pod');
    await done(pod);
    await ground.node.stage(ask);
    expect(await readFile(join(ask.stagingPath, 'kept'), 'utf8')).toBe('data');
    await writeFile(join(ask.stagingPath, 'new'), 'x', { flush: true });
    await done();
  });

  test('is mounted again by a stage when no pod has it', async () => {
    const { ask, done } = await stopped('in none');
    await ground.node.stage(ask);
    await writeFile(join(ask.stagingPath, 'new'), 'x', { flush: true });
    expect(await readFile(join(ask.stagingPath, 'kept'), 'utf8')).toBe('data');
    await done();
  });

  test('is given to no further pod, in words that say what helps', async () => {
    const { volume, ask, pod, done } = await stopped('in a pod');
    const { node } = ground;
    await ground.grow(volume, 640n * MiB);
    for (const again of [
      () => node.stage(ask),
      () => node.publish(publishAsk(ask, `${pod}-2`)),
      () => node.expand(volume.id, pod, undefined),
    ]) {
      const refused = again();
      await expect(refused).rejects.toEqual(fault('wrong-state'));
      await expect(refused).rejects.toThrow('delete the pods that use it on this node');
    }
    await done(pod);
  });
});

test('an ext4 that found errors is mended before it is written to again', async () => {
  const { volume, ask, done } = await stagedOn(ground, mountAs('ext4'), 64n * MiB);
  await stops['ext4 that found an error and turned read-only']?.(ask.stagingPath);
  await done();
  const state = async () =>
    /^Filesystem state: +(.*)$/m.exec(await run(['dumpe2fs', '-h', volume.image], 'read'))?.[1];
  expect(await state()).toBe('clean with errors');
  await ground.node.stage(ask);
  await done();
  expect(await state()).toBe('clean');
});

test('a file system that is read-only because its class says so has not stopped', async () => {
  const capability = mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER', ['ro']);
  const { ask, pod, done } = await stagedOn(ground, capability, 64n * MiB);
  await ground.node.stage(ask);
  await ground.node.publish(publishAsk(ask, pod));
  await done(pod);
});
