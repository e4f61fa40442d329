import { execFile } from 'node:child_process';
import { chmod, copyFile, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;
onGround((fresh) => {
  ground = fresh;
});

const bytes = 320n * MiB;

const optionsAt = async (point: string) =>
  (await run(['findmnt', '-no', 'VFS-OPTIONS', point], 'read')).trim().split(',');

/** A staged volume whose class says this of privileged files. */
async function staged(
  fsType: string,
  privilegedFiles?: 'ignored' | 'allowed',
  flags: readonly string[] = [],
) {
  const ready = await ground.ready(mountAs(fsType, 'SINGLE_NODE_MULTI_WRITER', flags), bytes);
  const { volume, ask } = ready;
  if (privilegedFiles)
    await ground.store.volumes.update(volume.local, (record) => ({
      ...record,
      options: { ...record.options, privilegedFiles },
    }));
  await ground.node.stage(ask);
  const done = async (...targets: string[]) => {
    for (const target of targets) await ground.node.unpublish(volume.id, target);
    await ground.node.unstage(volume.id, ask.stagingPath);
  };
  return { ...ready, done };
}

/** Who a setuid program of root in a directory runs as, when another user starts it. */
async function userOfSetuid(directory: string): Promise<string> {
  const program = join(directory, 'who');
  await copyFile('/usr/bin/id', program);
  await chmod(program, 0o4755);
  const { stdout } = await promisify(execFile)('./who', ['-u'], {
    cwd: directory,
    uid: 65_534,
    gid: 65_534,
  });
  return stdout.trim();
}

/** Reads a byte of /dev/zero through a device node in a directory. */
async function readThroughNode(directory: string): Promise<number> {
  const path = join(directory, 'zero');
  await run(['mknod', path, 'c', '1', '5'], 'write');
  const device = await open(path, 'r');
  try {
    return (await device.read(Buffer.alloc(1), 0, 1)).bytesRead;
  } finally {
    await device.close();
  }
}

describe('setuid programs and device nodes in a volume', () => {
  test.each(['ext4', 'xfs', 'btrfs'])('have no effect on %s', async (fsType) => {
    const { ask, pod, done } = await staged(fsType);
    await ground.node.publish(publishAsk(ask, pod));
    for (const point of [ask.stagingPath, pod])
      expect(await optionsAt(point)).toEqual(expect.arrayContaining(['nosuid', 'nodev']));
    expect(await userOfSetuid(pod)).toBe('65534');
    await expect(readThroughNode(pod)).rejects.toThrow('EACCES');
    await done(pod);
  });

  test('have their effect where the class allows them', async () => {
    const { ask, pod, done } = await staged('ext4', 'allowed');
    await ground.node.publish(publishAsk(ask, pod));
    expect(await userOfSetuid(pod)).toBe('0');
    expect(await readThroughNode(pod)).toBe(1);
    await done(pod);
  });

  test('have no effect in a read-only bind either, and noexec stays', async () => {
    const { ask, pod, done } = await staged('ext4', 'ignored', ['noexec', 'noatime']);
    await ground.node.publish(publishAsk(ask, pod, true));
    expect(await optionsAt(pod)).toEqual(
      expect.arrayContaining(['ro', 'nosuid', 'nodev', 'noexec', 'noatime']),
    );
    await done(pod);
  });
});

describe('a mount option that the file system may not have', () => {
  test.each(['barrier=00', 'data=journal', 'suid'])(
    '%s is refused at a stage, which formats nothing',
    async (flag) => {
      const { volume, ask } = await ground.ready(mountAs('xfs', undefined, [flag]), bytes);
      await expect(ground.node.stage(ask)).rejects.toEqual(fault('invalid-request'));
      expect(await ground.content(volume)).toEqual({ kind: 'empty' });
      expect(await ground.loops()).toEqual([]);
    },
  );

  test('is refused where the record of the node names it', async () => {
    const { ask, pod, done } = await staged('ext4');
    await run(['umount', ask.stagingPath], 'write');
    const records = join(ground.directory, 'state', 'volumes');
    const [name = ''] = await readdir(records);
    const text = await readFile(join(records, name), 'utf8');
    const planted = text.replace('[]', '[\\"barrier=00\\"]');
    expect(planted).not.toBe(text);
    await writeFile(join(records, name), planted);
    await expect(ground.node.publish(publishAsk(ask, pod))).rejects.toThrow(
      'volume_capability has a mount option that does not fit the ext4 of the volume: must not be barrier=0',
    );
    await done();
  });
});
