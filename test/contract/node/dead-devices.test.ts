import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { losetup } from '../../../src/linux/losetup.ts';
import { loopState } from '../../../src/linux/sysblock.ts';
import { MiB } from '../../../src/model/bytes.ts';
import { systemClock } from '../../../src/run/clock.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, fault, mountAs } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let dying: Ground;
onGround((fresh) => {
  dying = fresh;
});
let other: Ground;
onGround((fresh) => {
  other = fresh;
});

const bytes = 64n * MiB;
const loops = losetup(run, systemClock);

/** What an administrator does once the file system of the images is back: the devices on the old one go first. */
async function comeBack(): Promise<void> {
  const shared = join(dying.directory, 'shared');
  const [device = ''] = (await run(['findmnt', '-no', 'SOURCE', shared], 'read')).split('\n');
  await run(['umount', shared], 'write');
  await run(['mount', '-t', 'xfs', device, shared], 'write');
}

const shutDown = () =>
  run(['xfs_io', '-x', '-c', 'shutdown -f', join(dying.directory, 'shared')], 'write');

describe('a device whose file cannot be asked, as its file system went away', () => {
  test.each([
    ['as a file system', mountAs('ext4')],
    ['as a block device', blockAs()],
  ])('holds up no volume of another root, and its own is released %s', async (_, capability) => {
    const { volume, ask } = await stagedOn(dying, capability, bytes);
    await shutDown();
    const { done } = await stagedOn(other, capability, bytes);
    await done();
    // The device goes; the mark stays until the file system is back.
    const unstage = () => dying.node.unstage(volume.id, ask.stagingPath);
    await expect(unstage()).rejects.toThrow();
    expect(await dying.loops()).toEqual([]);
    await comeBack();
    await unstage();
  });

  test('is still known as a device of its image, so that the image gets no second one', async () => {
    const { volume, ask } = await dying.ready(mountAs('ext4'), bytes);
    const byHand = (await run(['losetup', '-f', '--show', volume.image], 'write')).trim();
    const { device, inode } = await dying.store.files.stat(volume.image);
    await shutDown();
    expect(await loops.loopsOf({ device, inode }, volume.image)).toEqual([
      expect.objectContaining({ path: byHand, file: volume.image, backing: undefined }),
    ]);
    const elsewhere = join(dying.directory, 'shared', 'another', 'image');
    expect(await loops.loopsOf({ device, inode }, elsewhere)).toEqual([]);
    await run(['losetup', '-d', byHand], 'write');
    await comeBack();
    await dying.node.stage(ask);
    await dying.node.unstage(volume.id, ask.stagingPath);
  });

  test('is detached on a kernel without diskseq, and not only reported as gone', async () => {
    const { volume } = await dying.ready(blockAs(), bytes);
    const { path, backing } = await loops.attach(volume.image, { readonly: false });
    await shutDown();
    const script = new URL('../../support/node/detach-without-diskseq.ts', import.meta.url);
    const facts = [path, volume.image, String(backing.device), String(backing.inode)];
    const { stdout } = await promisify(execFile)('unshare', [
      '--mount',
      process.execPath,
      fileURLToPath(script),
      ...facts,
    ]);
    expect(stdout).toBe('attached, then gone\n');
    expect((await loopState(path))?.backingFile).not.toBe(volume.image);
    await comeBack();
  });
});

/** What util-linux 2.40 and newer print of devices that have no node in /dev. */
const withLost: Run = async (argv, kind, options) => {
  const output = await run(argv, kind, options);
  const isList = argv.join(' ') === 'losetup --noheadings --raw -O NAME,BACK-MAJ:MIN,BACK-INO';
  return isList ? `/dev/loop99999\\x20(lost)  \n${output}` : output;
};

test('a device without a node in /dev holds up no stage', async () => {
  const { volume, ask } = await other.ready(mountAs('ext4'), bytes);
  await other.restarted({ run: withLost }).stage(ask);
  await other.node.unstage(volume.id, ask.stagingPath);
});

test('a device that is attached by hand is refused by its name where it cannot be asked', async () => {
  const { volume, ask } = await other.ready(mountAs('ext4'), bytes);
  const byHand = (await run(['losetup', '-f', '--show', volume.image], 'write')).trim();
  const unknown: Run = async (argv, kind, options) => {
    const output = await run(argv, kind, options);
    return argv.includes('-O')
      ? output.replace(new RegExp(`^${byHand} .*$`, 'm'), `${byHand}  `)
      : output;
  };
  const attempt = other.restarted({ run: unknown }).stage(ask);
  await expect(attempt).rejects.toEqual(fault('wrong-state'));
  await expect(attempt).rejects.toThrow(`is attached to ${byHand} already`);
  await run(['losetup', '-d', byHand], 'write');
});
