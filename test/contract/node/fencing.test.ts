import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { fileKey } from '../../../src/model/ids.ts';
import { blockAs, fault, mountAs, publishAsk, stageAsk } from '../../support/node/requests.ts';
import {
  run,
  self,
  type Ground,
  type GroundVolume,
  type Ready,
} from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const isB = { ...self, node: 'node-b', machineId: 'machine-b' };

/** The driver of another node, with what it would have to stage the volume. */
async function otherNode({ volume, ask }: Ready) {
  const other = ground.restarted({
    self: isB,
    stateDirectory: join(ground.directory, `state-b-${volume.local}`),
  });
  const place = await ground.place(`staging-b-${volume.local}`);
  return { other, otherAsk: stageAsk(volume, place, ask.capability) };
}

/** What a fence leaves: another image, with what the one before holds now, and that one's name gone. */
async function newGeneration(volume: GroundVolume): Promise<void> {
  const key = fileKey(volume.local, 2, 'abcdef04');
  const next = ground.store.layout.data('volumes', key);
  await run(['cp', '--reflink=always', volume.image, next], 'write');
  const { inode } = await ground.store.files.stat(next);
  const image = { key, inode };
  await ground.store.volumes.update(volume.local, (record) => ({ ...record, image }));
  await ground.store.files.unlink(volume.image);
}

const setState = (volume: GroundVolume, fields: object) =>
  ground.store.volumes.update(volume.local, (record) => ({ ...record, ...fields }));

describe('a volume that other nodes are being cut off from', () => {
  test.each([mountAs('ext4'), blockAs()])('is not staged until that is done: %j', async (how) => {
    const { volume, ask } = await ground.ready(how, 64n * MiB);
    const attachment = { node: 'node-a', readonly: false, capability: how, sinceMs: 1 };
    await setState(volume, { attachments: [{ ...attachment, state: 'fencing' }] });
    await expect(ground.node.stage(ask)).rejects.toEqual(fault('wrong-state'));
    await expect(ground.node.stage(ask)).rejects.toThrow('being cut off from it');
    expect(await ground.content(volume)).toEqual({ kind: 'empty' });
    expect([...(await ground.loops()), ...(await ground.marks())]).toEqual([]);
    await setState(volume, { attachments: [{ ...attachment, state: 'ready' }] });
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('a node that comes back', () => {
  test('after its volume was attached elsewhere detaches only its own device, and removes its mark', async () => {
    const ready = await ground.ready(mountAs('ext4'), 64n * MiB);
    const { volume, ask, pod } = ready;
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    await writeFile(join(pod, 'before'), 'before', { flush: true });
    await newGeneration(volume);
    await ground.attach(volume, ask.capability, false, ['node-b']);
    const { other, otherAsk } = await otherNode(ready);
    await other.stage(otherAsk);
    await writeFile(join(pod, 'after'), 'after', { flush: true });
    expect(await ground.loops()).toHaveLength(2);
    expect(await readFile(join(otherAsk.stagingPath, 'before'), 'utf8')).toBe('before');

    // Both nodes mount below one directory here, so the mount of the other one is reported and left alone.
    expect(await ground.restarted().reconcile()).toEqual([
      `volume ${volume.id} was given a new image while it was staged here; what used its old image was taken down`,
      expect.stringContaining(`is mounted at ${JSON.stringify(otherAsk.stagingPath)}`),
    ]);
    expect(await ground.loops()).toHaveLength(1);
    expect(await ground.mountPoints()).toEqual([otherAsk.stagingPath]);
    expect((await ground.marks()).map((path) => path.split('/').at(-1))).toEqual(['node-b.json']);
    await expect(readFile(join(otherAsk.stagingPath, 'after'))).rejects.toThrow('ENOENT');
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
    await other.unstage(volume.id, otherAsk.stagingPath);
  });

  test.each(['unpublish and unstage', 'reconcile'])(
    'after its volume was cut off and deleted takes it down: %s',
    async (how) => {
      const { volume, ask, pod } = await ground.ready(mountAs('xfs'));
      await ground.node.stage(ask);
      await ground.node.publish(publishAsk(ask, pod));
      await ground.store.files.unlink(volume.image);
      await setState(volume, { state: 'deleted', attachments: [] });
      if (how === 'reconcile') {
        const [finding] = await ground.restarted().reconcile();
        expect(finding).toContain(`volume ${volume.id} was deleted while it was staged here`);
      }
      await ground.node.unpublish(volume.id, pod);
      await ground.node.unstage(volume.id, ask.stagingPath);
      expect(await ground.restarted().reconcile()).toEqual([]);
      expect([...(await ground.loops()), ...(await ground.marks())]).toEqual([]);
    },
  );

  test('and finds no record of its volume leaves it to a later unstage', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    const held = await ground.store.volumes.read(volume.local);
    if (held) await ground.store.volumes.forget(held);
    expect(await ground.restarted().reconcile()).toEqual([]);
    expect(await ground.mountPoints()).toEqual([ask.stagingPath]);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('and gets its volume again stages the new image, not what it still has', async () => {
    const { volume, ask, pod } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    await ground.node.publish(publishAsk(ask, pod));
    await newGeneration(volume);
    await writeFile(join(pod, 'late'), 'late', { flush: true });
    await ground.node.stage(ask);
    expect(await ground.loops()).toHaveLength(1);
    expect(await ground.mountPoints()).toEqual([ask.stagingPath]);
    await expect(readFile(join(ask.stagingPath, 'late'))).rejects.toThrow('ENOENT');
    expect(await ground.marks()).toHaveLength(1);
    await ground.node.unpublish(volume.id, pod);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('a machine that took over the name of another', () => {
  test('does not put its mark over that one, and stages what was cut off from it', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB);
    await ground.node.stage(ask);
    const replaced = ground.restarted({
      self: { ...self, machineId: 'machine-new', bootId: 'boot-7' },
      stateDirectory: join(ground.directory, 'state-new'),
    });
    const place = await ground.place('staging-new');
    const again = stageAsk(volume, place, ask.capability);
    await expect(replaced.stage(again)).rejects.toEqual(fault('wrong-state'));
    await expect(replaced.stage(again)).rejects.toThrow('another machine that was node node-a');
    const [mark = ''] = await ground.marks();
    expect(JSON.parse(await readFile(mark, 'utf8'))).toMatchObject({ machineId: 'machine-a' });
    expect(await ground.loops()).toHaveLength(1);

    await newGeneration(volume);
    await replaced.stage(again);
    expect(await ground.loops()).toHaveLength(2);
    expect(await ground.marks()).toHaveLength(2);
    await replaced.unstage(volume.id, place);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});
