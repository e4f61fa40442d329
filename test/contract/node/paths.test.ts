import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';
import type { Ground } from '../../support/node/ground.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const staged = (capability = mountAs('ext4'), bytes = 64n * MiB) =>
  stagedOn(ground, capability, bytes);

const isThere = (path: string) =>
  ground.store.files.stat(path).then(
    () => true,
    () => false,
  );

describe('paths', () => {
  test.each([
    ['spaces', 'a b  c'],
    ['a newline and a tab', 'a\nb\tc'],
    ['a backslash', 'a\\040b'],
    ['Unicode', 'größe-🦭-\u00e9-e\u0301'],
    ['128 bytes', 'x'.repeat(128)],
  ])('case 92: a target with %s', async (_, name) => {
    const { ask, pod, done } = await staged();
    const target = join(dirname(pod), name);
    await ground.node.publish(publishAsk(ask, target));
    await writeFile(join(target, 'a'), '');
    await ground.node.publish(publishAsk(ask, target));
    await done(target);
    expect(await isThere(target)).toBe(false);
  });

  test('case 92: a target of 4095 bytes', async () => {
    const { ask, pod, done } = await staged();
    const parent = join(dirname(pod), ...Array<string>(40).fill('d'.repeat(99)));
    const target = fill(parent.slice(0, 3900), 4095);
    await mkdir(dirname(target), { recursive: true });
    expect(Buffer.byteLength(target)).toBe(4095);
    await ground.node.publish(publishAsk(ask, target));
    await done(target);
    expect(await isThere(target)).toBe(false);
    await expect(ground.node.publish(publishAsk(ask, `${target}x`))).rejects.toEqual(
      fault('wrong-state'),
    );
  });

  test('case 93: a symbolic link as target, or on the way to it, is refused', async () => {
    const { volume, ask, pod, done } = await staged();
    const real = await ground.place('real');
    await symlink(real, pod);
    const behind = join(pod, 'target');
    for (const target of [pod, behind]) {
      await expect(ground.node.publish(publishAsk(ask, target))).rejects.toEqual(
        fault('invalid-request'),
      );
      await expect(ground.node.unpublish(volume.id, target)).rejects.toEqual(
        fault('invalid-request'),
      );
    }
    await done();
  });

  test('case 93: the directory of the kubelet itself may be a symbolic link', async () => {
    const link = join(ground.directory, 'var-lib-kubelet');
    await symlink(join(ground.directory, 'kubelet'), link);
    const node = ground.restarted({ kubeletDirectory: link });
    const { volume, ask, pod } = await ground.ready(mountAs('ext4'), 64n * MiB);
    const through = (path: string) => path.replace(join(ground.directory, 'kubelet'), link);
    const linked = { ...ask, stagingPath: through(ask.stagingPath) };
    await node.stage(linked);
    await node.publish(publishAsk(linked, through(pod)));
    await node.publish(publishAsk(linked, through(pod)));
    expect(await node.stats(volume.id, through(pod))).toHaveLength(2);
    await node.unpublish(volume.id, through(pod));
    await node.unstage(volume.id, linked.stagingPath);
  });
});

/** `path` with more directories, to exactly this many bytes. */
function fill(path: string, bytes: number): string {
  let filled = path.replace(/\/+$/, '');
  while (bytes - filled.length > 101) filled += `/${'e'.repeat(99)}`;
  return `${filled}/${'f'.repeat(bytes - filled.length - 1)}`;
}
