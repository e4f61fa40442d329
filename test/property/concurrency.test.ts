import { expect, test } from 'vitest';
import { sweepRoot } from '../../src/service/maintenance.ts';
import { goneAfterMs } from '../../src/store/nodes.ts';
import { from, serverOn, snap, spec } from '../support/memory/driver.ts';
import { attach, newWorld, quiet, volume, type World } from '../support/memory/world.ts';
import { contents, expectSound, living, writeVolume } from '../support/memory/truth.ts';

const idOf = ({ ids }: World, name: string) => ({ id: ids.get(name) ?? '' });
const fault = (kind: string) =>
  expect.objectContaining({ fault: expect.objectContaining({ kind }) as unknown }) as unknown;

/** Does something at each call of a request in turn, in a world of its own each time. */
async function atEachCall(
  prepare: (world: World) => Promise<unknown>,
  request: (world: World) => Promise<unknown>,
  between: (world: World) => Promise<unknown>,
  check: (world: World, told: unknown) => unknown,
): Promise<void> {
  for (let n = 1, calls = 1; n <= calls; n++) {
    const world = await newWorld();
    await prepare(world);
    await quiet(world.gpfs);
    const before = world.gpfs.calls;
    const release = world.gpfs.stallAt(n);
    const work = request(world).catch((error: unknown) => error);
    await quiet(world.gpfs);
    await between(world);
    release();
    const told = await work;
    await quiet(world.gpfs);
    calls = Math.max(calls, world.gpfs.calls - before);
    await check(world, told);
  }
}

const other = ({ gpfs }: World) => serverOn(gpfs.server('b1'), 'b1');

test('what a node wrote before it was detached, while a clone was made, is in the next clone', async () => {
  await atEachCall(
    async (world) => {
      await volume(world, 'v');
      await world.driver.attachments.publish(attach(idOf(world, 'v').id));
    },
    (world) =>
      world.driver.volumes.create(spec('c1', { source: from('volume', idOf(world, 'v')) })),
    async (world) => {
      writeVolume(world.gpfs, 'v', 'later');
      await other(world).attachments.unpublish(idOf(world, 'v').id, '');
    },
    async (world) => {
      const source = from('volume', idOf(world, 'v'));
      await world.driver.volumes.create(spec('c1', { source }));
      await world.driver.volumes.create(spec('c2', { source }));
      expect(contents(world.gpfs)).toMatchObject({ 'volumes/c2': 'later' });
      expectSound(world.gpfs);
    },
  );
});

test('a volume that grows while it is cloned is cloned in a size it had, or the caller tries again', async () => {
  const larger = { requiredBytes: 128n << 20n, limitBytes: 0n };
  await atEachCall(
    (world) => volume(world, 'v'),
    (world) => {
      const source = from('volume', idOf(world, 'v'));
      return world.driver.volumes.create(spec('c', { source, range: undefined }));
    },
    async (world) => {
      const work = other(world).volumes.expand(idOf(world, 'v').id, larger, undefined);
      await work.catch((error: unknown) => {
        expect(error).toEqual(fault('busy'));
      });
    },
    async (world, told) => {
      if (told instanceof Error) expect(told).toEqual(fault('busy'));
      const source = from('volume', idOf(world, 'v'));
      const made = await world.driver.volumes.create(spec('c', { source, range: undefined }));
      expect([64n << 20n, 128n << 20n]).toContain(made.bytes);
      expectSound(world.gpfs);
    },
  );
});

test('a name that is used again just when its old record is swept stays used', async () => {
  await atEachCall(
    async (world) => {
      await volume(world, 'v');
      await world.driver.volumes.remove(idOf(world, 'v').id);
      world.gpfs.clock.tick(25 * 3_600_000);
    },
    async ({ driver }) => {
      for (const store of await driver.roots.all()) await sweepRoot(driver.host, store);
    },
    (world) => other(world).volumes.create(spec('v')),
    ({ gpfs }) => {
      expect([...living(gpfs).keys()]).toEqual(['volumes/v']);
      expectSound(gpfs);
    },
  );
});

test('a sweep leaves nothing of what was deleted long ago, and no temporary files', async () => {
  const world = await newWorld();
  const { gpfs, driver } = world;
  await volume(world, 'v');
  await driver.snapshots.create(snap('s', idOf(world, 'v')));
  await driver.snapshots.remove(`${idOf(world, 'v').id.slice(0, 8)}.s`);
  await driver.volumes.remove(idOf(world, 'v').id);
  const [store] = await driver.roots.all();
  await store?.files.createDurable(`${store.layout.temporary}/left`, '', 0o640);
  await quiet(gpfs);
  gpfs.clock.tick(25 * 3_600_000);
  if (store) await sweepRoot(driver.host, store);
  expect(
    gpfs.paths().filter((path) => /records\/(volumes|snapshots|hidden)|edges|tmp/.test(path)),
  ).toEqual([]);
});

test('twenty requests for one name at once make one volume; for twenty names, twenty', async () => {
  const { gpfs, driver } = await newWorld();
  const many = Array.from({ length: 20 }, (_, at) => at);
  const same = await Promise.allSettled(many.map(() => driver.volumes.create(spec('v'))));
  for (const each of same)
    if (each.status === 'rejected') expect(each.reason).toEqual(fault('busy'));
  expect([...living(gpfs).keys()]).toEqual(['volumes/v']);
  const names = await Promise.all(many.map((at) => driver.volumes.create(spec(`w${at}`))));
  expect(new Set(names.map(({ id }) => id)).size).toBe(20);
  expect(living(gpfs).size).toBe(21);
  expectSound(gpfs);
});

test('two deletions at once both succeed, or one tries again', async () => {
  const world = await newWorld();
  await volume(world, 'v');
  const { id } = idOf(world, 'v');
  const both = await Promise.allSettled([
    world.driver.volumes.remove(id),
    other(world).volumes.remove(id),
  ]);
  for (const each of both)
    if (each.status === 'rejected') expect(each.reason).toEqual(fault('busy'));
  await world.driver.volumes.remove(id);
  expect(contents(world.gpfs)).toEqual({});
  expectSound(world.gpfs);
});

test('an expansion is not taken over from a server that only sleeps, but once it started again', async () => {
  const world = await newWorld();
  const { gpfs, driver } = world;
  await volume(world, 'v');
  const { id } = idOf(world, 'v');
  const grow = (bytes: bigint) => ({ requiredBytes: bytes, limitBytes: 0n }) as const;
  const before = gpfs.calls;
  await driver.volumes.expand(id, grow(128n << 20n), undefined);
  const calls = gpfs.calls - before;
  // Somewhere in the middle: the claim is written, the file perhaps grown.
  const release = gpfs.stallAt(Math.ceil(calls / 2));
  const slow = driver.volumes.expand(id, grow(256n << 20n), undefined);
  await quiet(gpfs);
  const next = other(world);
  await next.roots.all();
  gpfs.clock.tick(goneAfterMs + 1);
  const work = next.volumes.expand(id, grow(512n << 20n), undefined);
  await expect(work).rejects.toEqual(fault('unavailable'));
  await expect(work).rejects.toThrow('node a1');
  await serverOn(gpfs).roots.all();
  expect(await next.volumes.expand(id, grow(512n << 20n), undefined)).toBe(512n << 20n);
  release();
  await expect(slow).rejects.toEqual(fault('busy'));
  expect((await next.volumes.get(id)).bytes).toBe(512n << 20n);
  expectSound(gpfs);
});
