import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { loopState } from '../../../src/linux/sysblock.ts';
import { superblock } from '../../../src/linux/disk-head.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, fault, mountAs, publishAsk, stageAsk } from '../../support/node/requests.ts';
import { run, self, type Ground, type GroundVolume } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const reading = (fsType: string) => mountAs(fsType, 'MULTI_NODE_READER_ONLY');
const both = ['node-a', 'node-b'];

const nodeB = (change = {}) =>
  ground.restarted({
    self: { ...self, node: 'node-b', machineId: 'machine-b' },
    stateDirectory: join(ground.directory, 'state-b'),
    ...change,
  });

const journal = async ({ local }: GroundVolume) =>
  (await ground.store.volumes.read(local))?.value.journal?.state;

/** A clone of a mounted file system: its data is in the journal, which nobody replayed yet. */
async function dirty(fsType: string, name: string, bytes = 512n * MiB) {
  const { volume, ask } = await ground.ready(mountAs(fsType));
  await ground.node.stage(ask);
  await writeFile(join(ask.stagingPath, 'kept'), 'data');
  await run(['sync', '-f', ask.stagingPath], 'write');
  await writeFile(join(ask.stagingPath, 'late'), 'synced', { flush: true });
  const clone = await ground.clone(volume, name, bytes);
  await ground.node.unstage(volume.id, ask.stagingPath);
  await ground.attach(clone, reading(fsType), true, both);
  return {
    clone,
    ask: stageAsk(clone, await ground.place(`${name}-a`), reading(fsType)),
    askB: stageAsk(clone, await ground.place(`${name}-b`), reading(fsType)),
    done: async () => {
      await ground.node.unstage(clone.id, await ground.place(`${name}-a`));
      await nodeB().unstage(clone.id, await ground.place(`${name}-b`));
    },
  };
}

/** Stops at the first command that does something, as a process would that is killed there. */
const stopAt =
  (program: string): Run =>
  (argv, kind, options) =>
    argv[0] === program ? Promise.reject(new Error('died')) : run(argv, kind, options);

describe('case 87: a file system that several nodes read', () => {
  test.each(['ext4', 'xfs', 'btrfs'])(
    '%s: the journal is replayed once, all data is there, and every device is read-only',
    async (fsType) => {
      const { clone, ask, askB, done } = await dirty(fsType, `rox-${fsType}`);
      await ground.node.stage(ask);
      expect(await journal(clone)).toBe('clean');
      const settled = await readFile(clone.image);
      await nodeB().stage(askB);
      for (const { stagingPath } of [ask, askB]) {
        expect(await readFile(join(stagingPath, 'kept'), 'utf8')).toBe('data');
        expect(await readFile(join(stagingPath, 'late'), 'utf8')).toBe('synced');
        await expect(writeFile(join(stagingPath, 'x'), '')).rejects.toThrow('EROFS');
      }
      const loops = await ground.loops();
      expect(loops).toHaveLength(2);
      for (const loop of loops) expect(await loopState(loop)).toMatchObject({ readonly: true });
      await done();
      expect(settled.equals(await readFile(clone.image))).toBe(true);
    },
  );

  test('an empty volume is formatted by the first node, and only by that', async () => {
    const { volume, ask } = await ground.ready(reading('ext4'), 64n * MiB);
    await ground.attach(volume, reading('ext4'), true, both);
    await ground.node.stage(ask);
    expect(await ground.content(volume)).toEqual({ kind: 'filesystem', fsType: 'ext4' });
    const askB = stageAsk(volume, await ground.place('empty-b'), reading('ext4'));
    await nodeB({ run: stopAt('mkfs.ext4') }).stage(askB);
    await nodeB().unstage(volume.id, askB.stagingPath);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('pods of one node share it, each without write access', async () => {
    const { clone, ask, done } = await dirty('xfs', 'rox-pods');
    await ground.node.stage(ask);
    const pod = join(await ground.place('rox-pod'), 'target');
    for (const target of [pod, `${pod}-2`]) {
      await ground.node.publish(publishAsk(ask, target));
      expect(await readFile(join(target, 'kept'), 'utf8')).toBe('data');
      await expect(writeFile(join(target, 'x'), '')).rejects.toThrow('EROFS');
    }
    for (const target of [pod, `${pod}-2`]) await ground.node.unpublish(clone.id, target);
    await done();
  });

  test('a second node waits for the first one to end its replay', async () => {
    const { clone, ask, askB, done } = await dirty('ext4', 'rox-wait');
    let refused: unknown;
    const meanwhile: Run = async (argv, kind, options) => {
      if (argv[0] === 'umount')
        refused = await nodeB()
          .stage(askB)
          .catch((error: unknown) => error);
      return run(argv, kind, options);
    };
    await ground.restarted({ run: meanwhile }).stage(ask);
    expect(refused).toEqual(fault('busy'));
    expect(String(refused)).toContain('node node-a is replaying the journal');
    await nodeB().stage(askB);
    expect(await journal(clone)).toBe('clean');
    await done();
  });

  test.each(['mount', 'umount'])(
    'a replay that died at %s is finished by the same node, and by no other before',
    async (program) => {
      const { clone, ask, askB, done } = await dirty('xfs', `rox-died-${program}`);
      // What a killed process leaves: nothing after the step it died in, not even its own cleaning up.
      let dead = false;
      const dying: Run = (argv, kind, options) => {
        dead ||= argv[0] === program;
        return dead ? Promise.reject(new Error('died')) : run(argv, kind, options);
      };
      await expect(ground.restarted({ run: dying }).stage(ask)).rejects.toThrow();
      await expect(nodeB().stage(askB)).rejects.toEqual(fault('busy'));
      await ground.restarted().stage(ask);
      expect(await journal(clone)).toBe('clean');
      await nodeB().stage(askB);
      expect(await ground.loops()).toHaveLength(2);
      await done();
    },
  );

  test('a replay whose node gave up is done by another one', async () => {
    const { clone, ask, askB, done } = await dirty('xfs', 'rox-gave-up');
    await expect(ground.restarted({ run: stopAt('mount') }).stage(ask)).rejects.toThrow();
    await ground.node.unstage(clone.id, ask.stagingPath);
    await nodeB().stage(askB);
    expect(await readFile(join(askB.stagingPath, 'kept'), 'utf8')).toBe('data');
    await done();
  });

  test('a larger clone is grown before the first pod sees it', async () => {
    const { ask, done } = await dirty('ext4', 'rox-larger', 1024n * MiB);
    await ground.node.stage(ask);
    const { total } = await ground.store.files.space(ask.stagingPath);
    expect(total).toBeGreaterThan(900n * MiB);
    await done();
  });

  test('one that is expanded is grown when no other node has it, never under one that reads', async () => {
    const { clone, ask, askB, done } = await dirty('ext4', 'rox-grown');
    await ground.node.stage(ask);
    await ground.grow(clone, 1024n * MiB);
    await nodeB().stage(askB);
    expect(await superblock(clone.image)).toMatchObject({ bytes: 512n * MiB });
    await nodeB().unstage(clone.id, askB.stagingPath);
    await ground.node.unstage(clone.id, ask.stagingPath);
    await nodeB().stage(askB);
    expect(await superblock(clone.image)).toMatchObject({ bytes: 1024n * MiB });
    await done();
  });

  test('an attachment for many readers is read-only whatever the stage asks for', async () => {
    const { clone, ask, done } = await dirty('ext4', 'rox-asked');
    await ground.node.stage({ ...ask, capability: mountAs('ext4') });
    const [loop = ''] = await ground.loops();
    expect(await loopState(loop)).toMatchObject({ readonly: true });
    expect(await journal(clone)).toBe('clean');
    await done();
  });
});

describe('case 87: a raw block volume that several nodes read', () => {
  test('has a read-only device on each', async () => {
    const capability = blockAs('MULTI_NODE_READER_ONLY');
    const { volume, ask } = await ground.ready(capability, 64n * MiB);
    await ground.attach(volume, capability, true, both);
    const askB = stageAsk(volume, await ground.place('block-b'), capability);
    await ground.node.stage(ask);
    await nodeB().stage(askB);
    for (const loop of await ground.loops())
      expect(await loopState(loop)).toMatchObject({ readonly: true });
    expect(await ground.loops()).toHaveLength(2);
    await nodeB().unstage(volume.id, askB.stagingPath);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});
