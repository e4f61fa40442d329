import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errnoOf } from '../../../src/run/files.ts';
import type { NodeSide } from '../../../src/service/node/node.ts';
import { blockAs, mountAs, publishAsk } from '../../support/node/requests.ts';
import type { Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

// The local disk that a node keeps its own records on is full. What a pod does not need any more must come off the
// node all the same, or the volume can be used nowhere else.

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

/** A small local disk for the records of a node. */
async function localDisk() {
  const directory = await mkdtemp(join(tmpdir(), 'node-disk-'));
  const [image, point] = [join(directory, 'image'), join(directory, 'state')];
  await writeFile(image, '');
  await truncate(image, 8 * 2 ** 20);
  await mkdir(point);
  execFileSync('mkfs.ext4', ['-q', '-N', '64', image]);
  execFileSync('mount', ['-o', 'loop', image, point]);
  return {
    point,
    [Symbol.asyncDispose]: async () => {
      execFileSync('umount', [point]);
      await rm(directory, { recursive: true });
    },
  };
}

/** Takes every block of a disk, or every inode. */
const fills: Readonly<Record<string, (point: string) => Promise<void>>> = {
  blocks: async (point) => {
    for (let n = 0, bytes = 2 ** 20; bytes > 0; n += 1)
      await writeFile(join(point, `block-${n}`), Buffer.alloc(bytes), { flush: true }).catch(
        (error: unknown) => {
          expect(errnoOf(error)).toBe('ENOSPC');
          bytes = bytes === 1 ? 0 : Math.max(1, bytes / 16);
        },
      );
  },
  inodes: async (point) => {
    for (let n = 0, free = true; free; n += 1)
      free = await writeFile(join(point, `inode-${n}`), '').then(
        () => true,
        (error: unknown) => {
          expect(errnoOf(error)).toBe('ENOSPC');
          return false;
        },
      );
  },
};

describe.each(Object.entries(fills))('a node whose local disk has no %s left', (_, fill) => {
  const several = mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER');

  test.each([
    ['a file system', several],
    ['a raw device', blockAs('SINGLE_NODE_MULTI_WRITER')],
  ])('unpublishes and unstages %s, and stages nothing further', async (__, capability) => {
    await using disk = await localDisk();
    const node = ground.restarted({ stateDirectory: disk.point });
    const used = await ground.ready(capability);
    await node.stage(used.ask);
    const pods = ['one', 'two'].map((name) => publishAsk(used.ask, `${used.pod}-${name}`));
    for (const each of pods) await node.publish(each);
    const idle = await ground.ready(capability);
    await fill(disk.point);
    await expect(node.stage(idle.ask)).rejects.toMatchObject({ fault: { kind: 'no-space' } });
    for (const { targetPath } of pods) await node.unpublish(used.volume.id, targetPath);
    await node.unstage(used.volume.id, used.ask.stagingPath);
    await node.unstage(idle.volume.id, idle.ask.stagingPath);
    expect(await ground.leaks()).toEqual([]);
    expect(await ownFilesOf(disk.point)).toEqual([]);
    await emptied(disk.point);
    await again(node, used.ask);
  });
});

const ownFilesOf = (point: string) => readdir(join(point, 'volumes'));

async function emptied(point: string): Promise<void> {
  for (const name of await readdir(point))
    if (/^(?:block|inode)-/.test(name)) await rm(join(point, name));
}

/** With room again, the same volume is used as ever. */
async function again(node: NodeSide, ask: Parameters<NodeSide['stage']>[0]): Promise<void> {
  await node.stage(ask);
  await node.unstage(ask.id, ask.stagingPath);
  expect(await ground.leaks()).toEqual([]);
}
