import { describe, expect, test } from 'vitest';
import type { CompactionOptions } from '../../../../src/service/host.ts';
import { dataFiles, from, spec, tend, testRoot } from '../../../support/memory/driver.ts';
import { allow, attach } from '../../../support/memory/world.ts';
import {
  all,
  bytesOf,
  create,
  cut,
  drop,
  filledBlocks,
  hidden,
  idOf,
  redirects,
  restore,
  site,
  waiting,
  write,
  blocks,
  type Site,
} from '../../../support/memory/site.ts';
import { expectSound, fileOf, living } from '../../../support/memory/truth.ts';

describe('a volume that is backed up every night', () => {
  test.each(['one at a time', 'seven kept'] as const)(
    'stays shallow and small, %s',
    async (how) => {
      const here = await site();
      const keep = how === 'one at a time' ? 0 : 7;
      await create(here, 'v');
      let depth = 0;
      let held = 0;
      for (let night = 0; night < 60; night++) {
        await cut(here, `s${night}`, 'v');
        write(here, 'v', `night ${night}`, night % blocks, (night * 7) % blocks);
        if (night >= keep) await drop(here, `s${night - keep}`);
        await tend(here.driver);
        depth = Math.max(depth, hidden(here));
        held = Math.max(held, filledBlocks(here));
      }
      expectSound(here.gpfs);
      expect(depth).toBeLessThanOrEqual(keep === 0 ? 8 : 24);
      if (keep === 0) expect(held).toBeLessThanOrEqual(1.75 * blocks + 2);
      expect(bytesOf(here, 'volumes/v')[59 % blocks]).toBe('night 59');
    },
  );
});

test('what a deleted snapshot held goes into the volume, and the tombstone is gone', async () => {
  const here = await site();
  await create(here, 'v');
  await cut(here, 's', 'v');
  write(here, 'v', 'later', ...all.slice(0, 9));
  await drop(here, 's');
  expect(hidden(here)).toBe(1);
  await tend(here.driver);
  expect([hidden(here), redirects(here)]).toEqual([0, 1]);
  expect(bytesOf(here, 'volumes/v')).toEqual(all.map((block) => (block < 9 ? 'later' : 'v')));
  expectSound(here.gpfs);
  expect(await waiting(here)).toEqual({});
});

test('a clone made after that does not share the parent the volume was moved to', async () => {
  const here = await site();
  await create(here, 'v');
  await cut(here, 's1', 'v');
  await cut(here, 's2', 'v');
  await drop(here, 's2');
  await tend(here.driver);
  expect(hidden(here)).toBe(0);
  write(here, 'v', 'only here', 0);
  const source = from('volume', idOf(here, 'v'));
  await here.driver.volumes.create(spec('c', { source, range: undefined }));
  expect(bytesOf(here, 'volumes/c')[0]).toBe('only here');
  expectSound(here.gpfs);
});

describe('an attached volume', () => {
  const worn = async (options: Partial<CompactionOptions> = {}): Promise<Site> => {
    const here = await site(options);
    await create(here, 'v');
    await here.driver.attachments.publish(attach(idOf(here, 'v').id));
    await cut(here, 's', 'v');
    write(here, 'v', 'later', ...all);
    await drop(here, 's');
    await tend(here.driver);
    return here;
  };

  test('waits, says so, and is compacted once it is detached', async () => {
    const here = await worn();
    expect([hidden(here), redirects(here)]).toEqual([1, 0]);
    expect(await waiting(here)).toEqual({
      v: 'attached to node a1, and compaction of attached volumes is off',
    });
    await here.driver.attachments.unpublish(idOf(here, 'v').id, 'a1');
    await tend(here.driver);
    expect([hidden(here), redirects(here)]).toEqual([0, 1]);
    expect(await waiting(here)).toEqual({});
  });

  test('waits where nothing shows that GPFS redirects files in use', async () => {
    const here = await worn({ attached: 'auto' });
    expect((await waiting(here))['v']).toMatch(/^attached to node a1, and no probe has shown/);
  });

  test('is compacted while it is in use where a probe of two nodes has shown that', async () => {
    const here = await site({ attached: 'auto' });
    await allow(here, { redirectAttached: true });
    await create(here, 'v');
    await here.driver.attachments.publish(attach(idOf(here, 'v').id));
    await cut(here, 's', 'v');
    write(here, 'v', 'later', ...all);
    await drop(here, 's');
    await tend(here.driver);
    expect([hidden(here), redirects(here)]).toEqual([0, 1]);
    expectSound(here.gpfs);
  });

  test('counts as attached while a node has not unstaged it', async () => {
    const here = await site();
    await create(here, 'v');
    await cut(here, 's', 'v');
    write(here, 'v', 'later', ...all);
    const [store] = await here.driver.roots.all();
    const key = living(here.gpfs).get('volumes/v');
    await store?.marks.set(key as never, here.driver.host.self);
    await drop(here, 's');
    await tend(here.driver);
    expect((await waiting(here))['v']).toMatch(/^attached to node a1/);
  });
});

describe('configuration', () => {
  test('pauses compaction, and nothing else', async () => {
    const here = await site({ paused: true });
    await create(here, 'v');
    await cut(here, 's', 'v');
    write(here, 'v', 'later', ...all);
    await drop(here, 's');
    await tend(here.driver);
    expect(await waiting(here)).toEqual({ v: 'compaction is paused by configuration' });
    await here.driver.volumes.remove(idOf(here, 'v').id);
    expect(dataFiles(here.gpfs)).toEqual([]);
  });

  test('a class with maxCloneDepth 1 is redirected past kept snapshots', async () => {
    const here = await site();
    await create(here, 'v', { maxCloneDepth: '1' });
    for (const night of [1, 2, 3, 4]) {
      await cut(here, `s${night}`, 'v');
      write(here, 'v', `night ${night}`, night);
      await tend(here.driver);
    }
    const tree = [...here.gpfs.tree().values()];
    const volume = tree.find(({ path }) => path?.includes('/volumes/'));
    expect(tree.find((each) => each.children.length > 1)?.children).toHaveLength(4);
    expect(volume?.depth).toBe(1);
    expectSound(here.gpfs);
  });

  test('at the hard bound snapshots, clones and restores are refused before any command', async () => {
    const here = await site({ maxDepth: 4, paused: true });
    await create(here, 'v');
    await here.driver.attachments.publish(attach(idOf(here, 'v').id));
    for (const n of [1, 2, 3, 4]) await cut(here, `s${n}`, 'v');
    const before = dataFiles(here.gpfs);
    here.gpfs.resetCounts();
    const message = /v has 4 clone parents above it, and 4 are the most; detach it from node a1/;
    await expect(cut(here, 's5', 'v')).rejects.toThrow(message);
    const source = from('volume', idOf(here, 'v'));
    const clone = here.driver.volumes.create(spec('c', { source, range: undefined }));
    await expect(clone).rejects.toThrow(message);
    expect([...here.gpfs.counts.commands.keys()]).toEqual([]);
    await restore(here, 'r', 's4');
    await cut(here, 'deep', 'r').then(
      () => expect.unreachable('a fifth parent was cut'),
      (error: unknown) => {
        expect(String(error)).toMatch(/r has 4 clone parents above it/);
      },
    );
    expect(dataFiles(here.gpfs)).toHaveLength(before.length + 1);
    expectSound(here.gpfs);
  });
});

describe('where GPFS redirects parents', () => {
  test('a tombstone between kept snapshots goes into the one below it', async () => {
    const here = await site({}, { redirectParent: true });
    await allow(here, { redirectParent: true });
    await create(here, 'v');
    for (const n of [1, 2, 3]) {
      await cut(here, `s${n}`, 'v');
      write(here, 'v', `after ${n}`, 1, 2, 3);
    }
    await drop(here, 's2');
    await tend(here.driver);
    expect(hidden(here)).toBe(0);
    expect(bytesOf(here, 'snapshots/s3')[1]).toBe('after 2');
    expect(bytesOf(here, 'snapshots/s1')[1]).toBe('v');
    expectSound(here.gpfs);
  });
});

test('a redirect that finds no space leaves a valid clone, and is tried again with growing pauses', async () => {
  const here = await site();
  await create(here, 'v');
  await cut(here, 's', 'v');
  write(here, 'v', 'later', ...all.slice(0, 9));
  await drop(here, 's');
  here.gpfs.set({ copyRoom: 2 });
  await tend(here.driver);
  const [store] = await here.driver.roots.all();
  const pauses: number[] = [0];
  for (let n = 0; n < 3; n++) {
    const item = (await store?.queue.waiting())?.get('v');
    expect(item?.why).toMatch(/is full; delete something or add space/);
    const pause = Number(item?.untilMs) - here.gpfs.clock.now();
    expect(pause).toBeGreaterThan(Number(pauses.at(-1)));
    pauses.push(pause);
    here.gpfs.clock.tick(pause);
    await tend(here.driver);
  }
  expect(bytesOf(here, 'volumes/v')[15]).toBe('v');
  here.gpfs.set({ copyRoom: -1 });
  here.gpfs.clock.tick(3_600_000);
  await tend(here.driver);
  expect(hidden(here)).toBe(0);
  expectSound(here.gpfs);
});

test('a volume that hangs on a parent no record knows is not taken for moved', async () => {
  const here = await site();
  await create(here, 'v');
  await cut(here, 's', 'v');
  write(here, 'v', 'x', ...all);
  // What a server does that stalled in front of its snap until its claim was undone.
  const path = fileOf(here.gpfs, living(here.gpfs).get('volumes/v') ?? '');
  const late = `${testRoot}/hidden/late`;
  await here.gpfs.run(['mmclone', 'snap', path, late], 'write');
  write(here, 'v', 'y', ...all);
  await drop(here, 's');
  const [store] = await here.driver.roots.all();
  const before = (await store?.volumes.read('v'))?.value.parent;
  await tend(here.driver);
  expect((await waiting(here))['v']).toMatch(/hangs on another clone parent than its record says/);
  expect((await store?.volumes.read('v'))?.value).toMatchObject({ parent: before, claim: null });
  expect(redirects(here)).toBe(0);
  expect(bytesOf(here, 'volumes/v')).toEqual(all.map(() => 'y'));
});
