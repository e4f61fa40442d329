import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { superblock } from '../../../src/linux/disk-head.ts';
import { blockAs, fault, mountAs, stageAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const mountOptions = async (point: string) =>
  (await run(['findmnt', '-no', 'OPTIONS', point], 'read')).trim().split(',');

async function head(path: string, bytes: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    return (await file.read(Buffer.alloc(bytes), 0, bytes, 0)).buffer.toString('utf8');
  } finally {
    await file.close();
  }
}

/** Writes bytes to the start of an image, as a guest would through its device. */
const scribble = (image: string, text: string) => writeFile(image, text, { flag: 'r+' });

describe('stage of a file system', () => {
  test.each(['ext4', 'xfs', 'btrfs'])('%s is made once and keeps its data', async (fsType) => {
    const { volume, ask } = await ground.ready(mountAs(fsType));
    await ground.node.stage(ask);
    await ground.node.stage(ask);
    expect(await ground.loops()).toHaveLength(1);
    expect(await ground.content(volume)).toEqual({ kind: 'filesystem', fsType });
    await writeFile(join(ask.stagingPath, 'kept'), 'data');
    await ground.node.unstage(volume.id, ask.stagingPath);
    await ground.node.unstage(volume.id, ask.stagingPath);
    await ground.node.stage(ask);
    expect(await readFile(join(ask.stagingPath, 'kept'), 'utf8')).toBe('data');
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('the first supported type is the default', async () => {
    const { volume, ask } = await ground.ready(mountAs(''));
    await ground.node.stage(ask);
    expect(await ground.content(volume)).toEqual({ kind: 'filesystem', fsType: 'ext4' });
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('case 78: a second stage with another capability is refused and changes nothing', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'));
    await ground.node.stage(ask);
    for (const other of [mountAs('xfs'), mountAs('ext4', 'SINGLE_NODE_MULTI_WRITER')])
      await expect(ground.node.stage({ ...ask, capability: other })).rejects.toEqual(
        fault('used-differently'),
      );
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('case 78: a second staging path is refused while the first is in use', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'));
    await ground.node.stage(ask);
    const elsewhere = await ground.place('elsewhere');
    await expect(ground.node.stage({ ...ask, stagingPath: elsewhere })).rejects.toEqual(
      fault('in-use'),
    );
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('a volume that is not attached here is refused by the name of this node', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'));
    await ground.detach(volume);
    await expect(ground.node.stage(ask)).rejects.toThrow('is not attached to this node (node-a)');
    await expect(ground.node.stage(ask)).rejects.toEqual(fault('wrong-state'));
  });

  test('a volume that is attached for another kind of access is refused', async () => {
    const { ask } = await ground.ready(mountAs('ext4'));
    await expect(ground.node.stage({ ...ask, capability: blockAs() })).rejects.toEqual(
      fault('wrong-state'),
    );
  });

  test('a volume that is detached between mark and attach leaves nothing', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'));
    let reads = 0;
    const roots = {
      byId: async () => {
        reads += 1;
        if (reads === 2) await ground.detach(volume);
        return { store: ground.store, local: volume.local };
      },
    };
    await expect(ground.restarted({ roots }).stage(ask)).rejects.toThrow('not attached');
    expect(await ground.content(volume)).toEqual({ kind: 'empty' });
  });

  test('an unknown volume is missing, a staging path that is not there is a wrong state', async () => {
    const { ask } = await ground.ready(mountAs('ext4'));
    await expect(ground.node.stage({ ...ask, id: 'fake-vol-id' })).rejects.toEqual(
      fault('volume-missing'),
    );
    const gone = join(ground.directory, 'kubelet', 'gone');
    await expect(ground.node.stage({ ...ask, stagingPath: gone })).rejects.toEqual(
      fault('wrong-state'),
    );
  });

  test('case 88: mount flags reach the kernel, and xfs is mounted with nouuid', async () => {
    const { volume, ask } = await ground.ready(
      mountAs('xfs', 'SINGLE_NODE_WRITER', ['noatime', 'sync']),
    );
    await ground.node.stage(ask);
    const options = await mountOptions(ask.stagingPath);
    expect(options).toEqual(expect.arrayContaining(['noatime', 'sync', 'nouuid']));
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('case 88: an unknown file system is refused before anything is done', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'));
    await expect(
      ground.node.stage({ ...ask, capability: mountAs('reiserfs') }),
    ).rejects.toMatchObject({ fault: { kind: 'invalid-request' } });
    expect(await ground.content(volume)).toEqual({ kind: 'empty' });
  });

  test('a volume too small for xfs is refused in words, and stays empty enough for ext4', async () => {
    const { volume, ask } = await ground.ready(mountAs('xfs'), 64n * MiB);
    await expect(ground.node.stage(ask)).rejects.toThrow('64 MiB is too small for xfs');
    await ground.attach(volume, mountAs('ext4'));
    await ground.node.stage({ ...ask, capability: mountAs('ext4') });
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('a reader-only mode is mounted read-only', async () => {
    const { volume, ask } = await ground.ready(mountAs('xfs', 'SINGLE_NODE_READER_ONLY'));
    await ground.node.stage(ask);
    await expect(writeFile(join(ask.stagingPath, 'x'), '')).rejects.toThrow('EROFS');
    await ground.node.unstage(volume.id, ask.stagingPath);
  });
});

describe('stage of content that is not ours to overwrite', () => {
  test.each(['ext4', 'xfs', 'btrfs'])(
    'unknown data on an %s volume that claims to be empty',
    async (fsType) => {
      const { volume, ask } = await ground.ready(mountAs(fsType));
      await scribble(volume.image, 'precious');
      await expect(ground.node.stage(ask)).rejects.toThrow(
        'holds data that is no known file system',
      );
      expect(await head(volume.image, 8)).toBe('precious');
    },
  );

  test('what was a raw block volume is never formatted', async () => {
    const { volume, ask } = await ground.ready(blockAs());
    await ground.node.stage(ask);
    expect(await ground.content(volume)).toEqual({ kind: 'unknown' });
    await ground.node.unstage(volume.id, ask.stagingPath);
    await ground.attach(volume, mountAs('ext4'));
    const mounted = stageAsk(volume, ask.stagingPath, mountAs('ext4'));
    await expect(ground.node.stage(mounted)).rejects.toEqual(fault('wrong-state'));
    expect(await superblock(volume.image)).toBeUndefined();
  });

  test('a file system made inside a raw block volume can be mounted', async () => {
    const { volume, ask } = await ground.ready(mountAs('xfs'), 512n * MiB, { kind: 'unknown' });
    await run(['mkfs.xfs', '-q', '-s', 'size=4096', volume.image], 'write');
    await ground.node.stage(ask);
    expect(await ground.content(volume)).toEqual({ kind: 'unknown' });
    await ground.node.unstage(volume.id, ask.stagingPath);
  });

  test('a lost file system is not made again', async () => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), 64n * MiB, {
      kind: 'filesystem',
      fsType: 'ext4',
    });
    await expect(ground.node.stage(ask)).rejects.toThrow('shows no file system now');
    expect(await superblock(volume.image)).toBeUndefined();
  });

  test.each(['ext4', 'xfs', 'btrfs'])(
    'a mkfs.%s that died half way is done again',
    async (fsType) => {
      const { volume, ask } = await ground.ready(mountAs(fsType), 512n * MiB, {
        kind: 'formatting',
        fsType,
      });
      await scribble(volume.image, 'XFSB and the remains of a mkfs');
      await ground.node.stage(ask);
      expect(await ground.content(volume)).toEqual({ kind: 'filesystem', fsType });
      await ground.node.unstage(volume.id, ask.stagingPath);
    },
  );
});

describe('stage of a clone', () => {
  test.each(['ext4', 'xfs', 'btrfs'])(
    'case 26, 88: a larger %s clone is mounted beside its source, with its data, grown',
    async (fsType) => {
      const { volume, ask } = await ground.ready(mountAs(fsType));
      await ground.node.stage(ask);
      await writeFile(join(ask.stagingPath, 'kept'), 'data');
      await run(['sync', '-f', ask.stagingPath], 'write');
      const clone = await ground.clone(volume, `clone-${fsType}`, 1024n * MiB);
      await ground.attach(clone, ask.capability);
      const cloneAsk = stageAsk(clone, await ground.place(`clone-${fsType}`), ask.capability);
      await ground.node.stage(cloneAsk);
      expect(await readFile(join(cloneAsk.stagingPath, 'kept'), 'utf8')).toBe('data');
      const { total } = await ground.store.files.space(cloneAsk.stagingPath);
      expect(total).toBeGreaterThan(900n * MiB);
      await ground.node.unstage(clone.id, cloneAsk.stagingPath);
      await ground.node.unstage(volume.id, ask.stagingPath);
    },
  );

  test('a larger xfs clone that is read-only is grown all the same', async () => {
    const { volume, ask } = await ground.ready(mountAs('xfs'));
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
    const clone = await ground.clone(volume, 'clone-ro', 1024n * MiB);
    await ground.attach(clone, ask.capability, true);
    await ground.node.stage({ ...ask, id: clone.id });
    const { total } = await ground.store.files.space(ask.stagingPath);
    expect(total).toBeGreaterThan(900n * MiB);
    expect(await mountOptions(ask.stagingPath)).toContain('ro');
    await ground.node.unstage(clone.id, ask.stagingPath);
  });
});

describe('sizes', () => {
  test.each([
    ['a size that leaves a last group too small for ext4', 129n * MiB],
    ['a size in the middle of a group', 200n * MiB],
  ])('%s is staged again without a check of the whole file system', async (_, bytes) => {
    const { volume, ask } = await ground.ready(mountAs('ext4'), bytes);
    await ground.node.stage(ask);
    await ground.node.unstage(volume.id, ask.stagingPath);
    const commands: string[] = [];
    const counting = ground.restarted({
      run: (argv, kind, options) => {
        commands.push(argv[0]);
        return run(argv, kind, options);
      },
    });
    await counting.stage(ask);
    expect(commands).toEqual(['losetup', 'losetup', 'mount']);
    await counting.unstage(volume.id, ask.stagingPath);
  });
});
