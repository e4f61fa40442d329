import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import { whyRefused } from '../../../src/model/class/mount-flags.ts';
import { hostFiles } from '../../../src/run/host-files.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, fault, mountAs, publishAsk } from '../../support/node/requests.ts';
import { run, type Ground } from '../../support/node/ground.ts';
import { onGround, stagedOn } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const points = () => ground.mountPoints();

describe('a target path', () => {
  test.each([
    ['relative', 'some/path', 'must be an absolute path'],
    ['with a way out of it', '/var/lib/../../etc', 'without . and ..'],
    ['of more than 4095 bytes', `/${'x'.repeat(4095)}`, 'is longer than the 4095 bytes'],
  ])('%s is refused and nothing is mounted', async (_, path, words) => {
    const { ask, done } = await stagedOn(ground, mountAs('ext4'), 64n * MiB);
    const before = await points();
    await expect(ground.node.publish(publishAsk(ask, path))).rejects.toThrow(words);
    expect(await points()).toEqual(before);
    await done();
  });

  test('with a newline, blanks and Unicode in its name is a path like any other', async () => {
    const { ask, done } = await stagedOn(ground, mountAs('ext4'), 64n * MiB);
    const pod = join(await ground.place('a\nb \u{1f4be}\\040'), 'target');
    await ground.node.publish(publishAsk(ask, pod));
    await writeFile(join(pod, 'a'), 'x');
    expect(await readFile(join(ask.stagingPath, 'a'), 'utf8')).toBe('x');
    await done(pod);
    expect(await points()).toEqual([]);
  });

  test('that is a file where a directory belongs, or a directory for a device, is refused', async () => {
    const mount = await stagedOn(ground, mountAs('ext4'), 64n * MiB);
    await writeFile(mount.pod, 'mine');
    await expect(ground.node.publish(publishAsk(mount.ask, mount.pod))).rejects.toThrow(
      'is a file; remove it',
    );
    expect(await readFile(mount.pod, 'utf8')).toBe('mine');
    await run(['rm', mount.pod], 'write');
    await mount.done(mount.pod);
    const block = await stagedOn(ground, blockAs(), 64n * MiB);
    await mkdir(block.pod);
    await expect(ground.node.publish(publishAsk(block.ask, block.pod))).rejects.toThrow(
      'is a directory; remove it',
    );
    await block.done(block.pod);
  });
});

test('a wrong staging path is refused and nothing is mounted', async () => {
  const { ask, pod, done } = await stagedOn(ground, mountAs('ext4'), 64n * MiB);
  const elsewhere = { ...publishAsk(ask, pod), stagingPath: await ground.place('elsewhere') };
  await expect(ground.node.publish(elsewhere)).rejects.toEqual(fault('wrong-state'));
  expect(await points()).toEqual([ask.stagingPath]);
  await done();
});

test.each([
  'offset=1048576',
  'loop=/dev/sda',
  'X-mount.mkdir',
  'noload',
  'norecovery',
  'a,b',
  'subvol=/',
])('mount flag %s is refused', (flag) => {
  expect(whyRefused(flag)).toMatch(/^must /);
});

test('the label of SELinux, with the commas of its categories, reaches mount as one option', async () => {
  const label = 'context="system_u:object_r:container_file_t:s0:c1,c2"';
  expect(whyRefused(label)).toBeUndefined();
  const capability = mountAs('xfs', 'SINGLE_NODE_WRITER', [label]);
  const { volume, ask } = await ground.ready(capability);
  const seen: string[] = [];
  // This kernel may have no SELinux: it gets the mount without the label.
  const without: Run = (argv, kind, options) => {
    if (argv[0] !== 'mount') return run(argv, kind, options);
    seen.push(...argv);
    const plain = argv.map((word) => word.replace(`,${label}`, ''));
    return run(plain as [string, ...string[]], kind, options);
  };
  await ground.restarted({ run: without }).stage(ask);
  expect(seen).toContain(`nouuid,${label},nosuid,nodev`);
  await expect(
    ground.node.stage({ ...ask, capability: mountAs('xfs', 'SINGLE_NODE_WRITER', []) }),
  ).rejects.toEqual(fault('used-differently'));
  await ground.node.unstage(volume.id, ask.stagingPath);
});

test('a qcow2 header that a guest writes into its raw disk is data, and nothing reads what it names', async () => {
  const secret = join(ground.directory, 'secret');
  await writeFile(secret, 'of the host');
  const { volume, ask, pod, done } = await stagedOn(ground, blockAs(), 64n * MiB);
  await ground.node.publish(publishAsk(ask, pod));
  const header = Buffer.alloc(4096);
  header.write('QFI\u00fb', 'latin1');
  header.writeUInt32BE(3, 4);
  header.writeBigUInt64BE(1024n, 8);
  header.writeUInt32BE(secret.length, 16);
  header.write(secret, 1024);
  const guest = await open(pod, 'r+');
  await guest.write(header, 0, header.length, 0);
  await guest.sync();
  await guest.close();
  await done(pod);
  await ground.node.stage(ask);
  await ground.node.publish(publishAsk(ask, pod));
  const again = await open(pod, 'r');
  const { buffer } = await again.read(Buffer.alloc(4096), 0, 4096, 0);
  await again.close();
  expect(buffer.equals(header)).toBe(true);
  expect(await ground.node.stats(volume.id, pod)).toEqual([{ unit: 'bytes', total: 64n * MiB }]);
  await done(pod);
  await ground.attach(volume, mountAs('ext4'));
  await expect(ground.node.stage({ ...ask, capability: mountAs('ext4') })).rejects.toThrow(
    'use it as a block volume',
  );
});

test('case 90: callers of a file system that hangs wait for one look at it, not each for one', async () => {
  const { ask, pod, volume, done } = await stagedOn(ground, mountAs('ext4'), 64n * MiB);
  await ground.node.publish(publishAsk(ask, pod));
  let looks = 0;
  const space = () => {
    looks += 1;
    return new Promise<never>(() => undefined);
  };
  const node = ground.restarted({ files: { ...hostFiles(), space }, limits: { statfsMs: 50 } });
  for (let call = 0; call < 5; call += 1)
    await expect(node.stats(volume.id, pod)).rejects.toEqual(fault('unavailable'));
  // Each holds a thread for as long as it hangs, and there are sixteen.
  expect(looks).toBe(1);
  await done(pod);
});
