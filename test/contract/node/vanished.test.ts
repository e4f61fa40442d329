import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import type { Capability } from '../../../src/model/capability.ts';
import type { NodeVolumesOptions } from '../../../src/service/node/node.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, self, type Ground, type Ready } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;
onGround((fresh) => {
  ground = fresh;
});

const bytes = 64n * MiB;
const staged = (capability: Capability = mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER')) =>
  stagedOn(ground, capability, bytes);

const unmount = (path: string) => run(['umount', path], 'write');

async function endAll(): Promise<void> {
  for (const point of [...(await ground.mountPoints())].reverse()) await unmount(point);
  for (const loop of await ground.loops()) await run(['losetup', '-d', loop], 'write');
}

/** The driver after the machine booted, which ended all mounts and devices. */
async function booted(change: Partial<NodeVolumesOptions> = {}) {
  await endAll();
  return ground.restarted({ self: { ...self, bootId: 'boot-2' }, ...change });
}

describe('a publication of a volume whose staging mount or device vanished stages it again', () => {
  test('while another pod has it, which keeps it', async () => {
    const { ask, pod, done } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await writeFile(join(pod, 'kept'), 'x');
    await unmount(ask.stagingPath);
    await ground.node.publish(publishAsk(ask, `${pod}-2`));
    expect(await readFile(join(`${pod}-2`, 'kept'), 'utf8')).toBe('x');
    expect(await ground.mountPoints()).toContain(ask.stagingPath);
    expect(await ground.loops()).toHaveLength(1);
    await done(pod, `${pod}-2`);
  });

  test('while another pod has it and it is too small for its device: it grows at a later stage', async () => {
    const { volume, ask, pod, done } = await staged();
    await ground.node.publish(publishAsk(ask, pod));
    await ground.grow(volume, 2n * bytes);
    const [loop = ''] = await ground.loops();
    await run(['losetup', '-c', loop], 'write');
    await unmount(ask.stagingPath);
    await ground.node.publish(publishAsk(ask, `${pod}-2`));
    await done(pod, `${pod}-2`);
    await ground.node.stage(ask);
    const { total } = await ground.store.files.space(ask.stagingPath);
    expect(total).toBeGreaterThan(bytes);
    await done();
  });

  test.each([
    ['ext4', mountAs('ext4')],
    ['block', blockAs()],
    ['readers of ext4', mountAs('ext4', 'MULTI_NODE_READER_ONLY')],
  ])('with a new device: %s', async (_, capability) => {
    const { ask, pod, done } = await staged(capability);
    await endAll();
    await ground.node.publish(publishAsk(ask, pod));
    expect(await ground.loops()).toHaveLength(1);
    expect(await ground.marks()).toHaveLength(1);
    await done(pod);
  });

  test('with the mount flags of its stage, where the pod has others', async () => {
    const { ask, pod, done } = await staged(mountAs('ext4', 'SINGLE_NODE_WRITER', ['noatime']));
    await unmount(ask.stagingPath);
    const capability = mountAs('ext4', 'SINGLE_NODE_WRITER', ['noatime', 'nodiratime']);
    await ground.node.publish({ ...publishAsk(ask, pod), capability });
    const options = await run(['findmnt', '-no', 'OPTIONS', ask.stagingPath], 'read');
    expect(options).toContain('noatime');
    expect(options).not.toContain('nodiratime');
    await ground.node.stage(ask);
    await done(pod);
  });

  test.each(['before the driver looked at its records', 'after that'])(
    'after a boot, %s',
    async (when) => {
      const { volume, ask, pod } = await staged();
      await writeFile(join(ask.stagingPath, 'kept'), 'x', { flush: true });
      const node = await booted();
      if (when === 'after that')
        expect(await node.reconcile()).toContainEqual(expect.stringContaining(volume.id));
      await node.publish(publishAsk(ask, pod));
      expect(await readFile(join(pod, 'kept'), 'utf8')).toBe('x');
      await node.unpublish(volume.id, pod);
      await node.unstage(volume.id, ask.stagingPath);
    },
  );

  test('at the next try, where the first one fails', async () => {
    const { ask, pod, done } = await staged();
    await unmount(ask.stagingPath);
    let failures = 1;
    const failing: Run = (argv, kind, options) => {
      if (argv[0] !== 'mount' || failures === 0) return run(argv, kind, options);
      failures -= 1;
      return run(['false'], kind, options);
    };
    const node = ground.restarted({ run: failing });
    const attempt = () => node.publish(publishAsk(ask, pod));
    await expect(attempt()).rejects.toEqual(fault('command-failed'));
    expect(await ground.leaks()).toEqual([]);
    await attempt();
    await done(pod);
  });
});

describe('it is refused', () => {
  const refused = async ({ ask, pod }: Pick<Ready, 'ask' | 'pod'>, node = ground.node) => {
    await expect(node.publish(publishAsk(ask, pod))).rejects.toEqual(fault('wrong-state'));
    expect(await ground.leaks()).toEqual([]);
  };

  test('after an unstage, although a boot had ended the use before', async () => {
    const { volume, ask, pod } = await staged();
    const node = await booted();
    await node.reconcile();
    await node.unstage(volume.id, ask.stagingPath);
    await refused({ ask, pod }, node);
  });

  test('where no stage had succeeded', async () => {
    const { volume, ask, pod } = await ground.ready(mountAs('ext4'), bytes);
    const dies: Run = (argv, kind, options) =>
      argv[0] === 'mount' || argv[0] === 'losetup'
        ? Promise.reject(new Error('died'))
        : run(argv, kind, options);
    await expect(ground.restarted({ run: dies }).stage(ask)).rejects.toThrow('died');
    await expect(ground.node.publish(publishAsk(ask, pod))).rejects.toThrow('stage it first');
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('where something else is mounted at the staging path, which stays', async () => {
    const { ask, pod, done } = await staged();
    await unmount(ask.stagingPath);
    await run(['mount', '-t', 'tmpfs', 'mine', ask.stagingPath], 'write');
    await expect(ground.node.publish(publishAsk(ask, pod))).rejects.toThrow(
      /^mine is mounted at .* must become the staging path of volume/,
    );
    await unmount(ask.stagingPath);
    await done();
  });
});
