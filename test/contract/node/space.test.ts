import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../../src/model/bytes.ts';
import type { VolumeOptions } from '../../../src/model/class/parameters.ts';
import { systemClock } from '../../../src/run/clock.ts';
import { hostFiles } from '../../../src/run/host-files.ts';
import type { Run } from '../../../src/run/run.ts';
import { blockAs, mountAs } from '../../support/node/requests.ts';
import { run, type Ground, type Ready } from '../../support/node/ground.ts';
import { onGround } from '../../support/node/suite.ts';

let ground: Ground;

onGround((fresh) => {
  ground = fresh;
});

const hour = 3_600_000;

/** A node whose clock is set by hand, and on which every volume is due at each full day. */
function nodeAt(change: Parameters<Ground['restarted']>[0] = {}) {
  const time = { ms: 0 };
  const node = ground.restarted({
    clock: { ...systemClock, now: () => time.ms },
    trimIntervalMs: 24 * hour,
    limits: { trimLoad: Number.POSITIVE_INFINITY },
    ...change,
  });
  return { node, time };
}

const allocated = ({ volume }: Pick<Ready, 'volume'>) => ground.store.files.held(volume.image);

async function withOptions(fsType: string, options: VolumeOptions) {
  const ready = await ground.ready(mountAs(fsType));
  await ground.store.volumes.update(ready.volume.local, (record) => ({
    ...record,
    options: { ...options },
  }));
  return ready;
}

/** Fills a file system and empties it again; the blocks are free, and still allocated in the image. */
async function fillAndEmpty({ ask }: Ready): Promise<void> {
  const file = join(ask.stagingPath, 'large');
  await writeFile(file, Buffer.alloc(Number(96n * MiB), 'x'), { flush: true });
  await rm(file);
  await run(['sync', '-f', ask.stagingPath], 'write');
}

const commandsOf =
  (commands: string[]): Run =>
  (argv, kind, options) => {
    commands.push(argv[0]);
    return run(argv, kind, options);
  };

describe('free blocks', () => {
  test.each(['ext4', 'xfs', 'btrfs'])('of %s come back when the volume is due', async (fsType) => {
    const { node, time } = nodeAt();
    const ready = await withOptions(fsType, {});
    await node.stage(ready.ask);
    await fillAndEmpty(ready);
    expect(await allocated(ready)).toBeGreaterThan(90n * MiB);
    time.ms = 24 * hour;
    expect(await node.trim()).toBe(ready.volume.id);
    expect(await allocated(ready)).toBeLessThan(80n * MiB);
    expect(await node.trim()).toBeUndefined();
    await node.unstage(ready.volume.id, ready.ask.stagingPath);
  });

  test('come back at once with discard on', async () => {
    const ready = await withOptions('ext4', { discard: 'on' });
    await ground.node.stage(ready.ask);
    await fillAndEmpty(ready);
    // Freed with the next commit of the journal.
    await expect.poll(() => allocated(ready), { timeout: 10_000 }).toBeLessThan(32n * MiB);
    const { node, time } = nodeAt();
    time.ms = 24 * hour;
    expect(await node.trim()).toBeUndefined();
    await ground.node.unstage(ready.volume.id, ready.ask.stagingPath);
  });

  test.each(['ext4', 'xfs', 'btrfs'])('stay with discard off: %s', async (fsType) => {
    const { node, time } = nodeAt();
    const ready = await withOptions(fsType, { discard: 'off' });
    const ask = { ...ready.ask, capability: mountAs(fsType, 'SINGLE_NODE_WRITER', ['discard']) };
    await ground.attach(ready.volume, ask.capability);
    await node.stage(ask);
    await fillAndEmpty(ready);
    time.ms = 24 * hour;
    expect(await node.trim()).toBeUndefined();
    expect(await allocated(ready)).toBeGreaterThan(90n * MiB);
    await node.unstage(ready.volume.id, ask.stagingPath);
  });

  test('come back on the schedule that a class gives while the volume is in use, and on no other', async () => {
    const { node, time } = nodeAt({ trimIntervalMs: 0 });
    const ready = await withOptions('ext4', { trim: 'never' });
    const retype = (trim: VolumeOptions['trim']) =>
      ground.store.volumes.update(ready.volume.local, (record) => ({
        ...record,
        options: { trim },
      }));
    await node.stage(ready.ask);
    await fillAndEmpty(ready);
    const trimsBy = async (days: number): Promise<number> => {
      let trims = 0;
      for (const until = days * 24 * hour; time.ms < until; time.ms += 6 * hour)
        if ((await node.trim()) !== undefined) trims += 1;
      return trims;
    };
    expect(await trimsBy(40)).toBe(0);
    expect(await allocated(ready)).toBeGreaterThan(90n * MiB);
    await retype('weekly');
    // At once, as it was not trimmed for so long, and at the next time of its own.
    const inAWeek = await trimsBy(47);
    expect(inAWeek === 1 || inAWeek === 2, `${inAWeek} trims`).toBe(true);
    expect(await allocated(ready)).toBeLessThan(32n * MiB);
    await retype('daily');
    expect(await trimsBy(57)).toBeGreaterThanOrEqual(9);
    await retype('auto');
    expect(await trimsBy(67)).toBe(0);
    await node.unstage(ready.volume.id, ready.ask.stagingPath);
  });

  test('come back on time though the driver restarts all the time', async () => {
    const ready = await withOptions('ext4', { trim: 'weekly' });
    const time = { ms: 0 };
    const start = () =>
      nodeAt({ trimIntervalMs: 0, clock: { ...systemClock, now: () => time.ms } }).node;
    await start().stage(ready.ask);
    let trims = 0;
    for (const weeks = 4; time.ms < weeks * 7 * 24 * hour;) {
      const node = start();
      for (let looks = 0; looks < 8; looks++, time.ms += 6 * hour)
        if ((await node.trim()) !== undefined) trims += 1;
    }
    // A time that falls between two processes is missed; the driver is hardly ever away for six hours.
    expect(trims).toBeGreaterThanOrEqual(2);
    expect(trims).toBeLessThanOrEqual(4);
    await start().unstage(ready.volume.id, ready.ask.stagingPath);
  });

  // With off too: docs/adr/0025-what-a-loop-device-keeps.md says why, and the context of such a volume tells its user.
  test.each(['auto', 'on', 'off'] as const)(
    'of a raw block volume come back when its user discards: %s',
    async (discard) => {
      const { volume, ask } = await ground.ready(blockAs(), 64n * MiB);
      await ground.store.volumes.update(volume.local, (record) => ({
        ...record,
        options: { discard },
      }));
      await ground.node.stage(ask);
      const [loop = ''] = await ground.loops();
      const written = ['if=/dev/zero', `of=${loop}`, 'bs=1M', 'count=32', 'oflag=direct'];
      await run(['dd', ...written, 'status=none'], 'write');
      expect(await allocated({ volume })).toBe(32n * MiB);
      await run(['blkdiscard', loop], 'write');
      expect(await allocated({ volume })).toBe(0n);
      await ground.node.unstage(volume.id, ask.stagingPath);
    },
  );
});

describe('a node with many volumes', () => {
  test('trims one at a time, each once a day, at times of their own', async () => {
    const commands: string[] = [];
    const { node, time } = nodeAt({ run: commandsOf(commands) });
    const all = await Promise.all(
      Array.from({ length: 6 }, () => ground.ready(mountAs('ext4'), 64n * MiB)),
    );
    for (const { ask } of all) await node.stage(ask);
    const trimmedAt: number[] = [];
    const ids = new Set<string | undefined>();
    for (time.ms = 0; time.ms < 24 * hour; time.ms += 60_000) {
      const before = commands.length;
      const id = await node.trim();
      const trims = commands.slice(before).filter((name) => name === 'fstrim');
      expect(trims).toHaveLength(id === undefined ? 0 : 1);
      if (id === undefined) continue;
      trimmedAt.push(time.ms);
      ids.add(id);
    }
    expect(ids.size).toBe(6);
    expect(trimmedAt).toHaveLength(6);
    expect(Math.max(...trimmedAt) - Math.min(...trimmedAt)).toBeGreaterThan(2 * hour);
    for (const { volume, ask } of all) await node.unstage(volume.id, ask.stagingPath);
  });

  test('waits while the machine is busy, and never trims where that is switched off', async () => {
    const ready = await ground.ready(mountAs('ext4'), 64n * MiB);
    for (const change of [{ limits: { trimLoad: -1 } }, { trimIntervalMs: 0 }]) {
      const { node, time } = nodeAt(change);
      await node.stage(ready.ask);
      time.ms = 24 * hour;
      expect(await node.trim()).toBeUndefined();
    }
    await ground.node.unstage(ready.volume.id, ready.ask.stagingPath);
  });

  test('lets an unstage wait for the step that is running, and not for the rest', async () => {
    const trims: string[] = [];
    const begun = Promise.withResolvers<undefined>();
    const goOn = Promise.withResolvers<undefined>();
    const slow: Run = async (argv, kind, options) => {
      if (argv[0] === 'fstrim') {
        trims.push(argv.join(' '));
        begun.resolve(undefined);
        await goOn.promise;
      }
      return run(argv, kind, options);
    };
    // An unstage that has read its record asks the trim to stop in the same turn.
    const files = hostFiles();
    let read = Promise.withResolvers<undefined>();
    const watched = async (path: string) => {
      const text = await files.read(path);
      setImmediate(() => {
        read.resolve(undefined);
      });
      return text;
    };
    const { node, time } = nodeAt({ run: slow, files: { ...files, read: watched } });
    const { volume, ask } = await ground.ready(mountAs('ext4'), 100n * 1024n * MiB);
    await node.stage(ask);
    time.ms = 24 * hour;
    const trimming = node.trim();
    await begun.promise;
    read = Promise.withResolvers();
    const unstaging = node.unstage(volume.id, ask.stagingPath);
    await read.promise;
    goOn.resolve(undefined);
    await unstaging;
    expect(await trimming).toBe(volume.id);
    expect(trims).toEqual([`fstrim -o 0 -l 34359738368 ${ask.stagingPath}`]);
  });
});
