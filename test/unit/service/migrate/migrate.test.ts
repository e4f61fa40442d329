import { expect, test } from 'vitest';
import { whileFrozen } from '../../../../src/service/snapshots/freeze.ts';
import { migrateVolume } from '../../../../src/service/migrate/migrate.ts';
import {
  clusterWithRoot,
  from,
  mounted,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from '../../../support/memory/driver.ts';
import type { Driver } from '../../../../src/service/driver.ts';
import { goneAfterMs } from '../../../../src/store/nodes.ts';
import { attach } from '../../../support/memory/world.ts';

const other = `${testRoot}-2`;

const setup = async () => {
  const gpfs = await clusterWithRoot();
  await gpfs.files.makeDirectory(other, 0o750);
  const driver = serverOn(gpfs, 'a1', { roots: [testRoot, other] });
  await driver.roots.all();
  const filesIn = (root: string) =>
    gpfs.paths().filter((path) => path.startsWith(`${root}/`) && !path.includes('/.gpfs-csi/'));
  const write = (root: string, value: string) => {
    gpfs.write(filesIn(root).find((path) => path.includes('/volumes/')) ?? '', 0, value);
  };
  const read = (root: string) =>
    filesIn(root)
      .filter((path) => path.includes('/volumes/'))
      .map((path) => gpfs.readBlock(path, 0));
  return { gpfs, driver, filesIn, write, read, ...driver };
};

test('inside a fileset the file gets another name, and the handle stays', async () => {
  const { gpfs, driver, volumes, attachments, filesIn, write, read } = await setup();
  const { id } = await volumes.create(spec('v'));
  write(testRoot, 'data');
  gpfs.resetCounts();
  expect(await migrateVolume(driver.host, id, other)).toBe('renamed');
  expect([...gpfs.counts.commands]).toEqual([]);
  expect(filesIn(testRoot)).toEqual([]);
  expect(read(other)).toEqual(['data']);
  expect((await volumes.get(id)).id).toBe(id);
  expect((await volumes.list({ max: 0, token: '' })).items.map((each) => each.id)).toEqual([id]);
  await attachments.publish(attach(id));
  await expect(migrateVolume(driver.host, id, testRoot)).rejects.toThrow(/attached to node a1/);
  await attachments.unpublish(id, 'a1');
  const range = { requiredBytes: 128n << 20n, limitBytes: 0n };
  expect(await volumes.expand(id, range, undefined)).toBe(range.requiredBytes);
  expect(await migrateVolume(driver.host, id, other)).toBe('there already');
  expect(await migrateVolume(driver.host, id, testRoot)).toBe('renamed');
  expect(read(testRoot)).toEqual(['data']);
  expect((await volumes.create(spec('v'))).id).toBe(id);
  await volumes.remove(id);
  expect([...filesIn(testRoot), ...filesIn(other)]).toEqual([]);
});

test.each([
  ['renamed', false],
  ['copied', true],
] as const)('a file that is larger than its record is %s whole', async (how, isCut) => {
  const { gpfs, driver, volumes, snapshots, filesIn, write, read } = await setup();
  const { id } = await volumes.create(spec('v'));
  const [path = ''] = filesIn(testRoot);
  await gpfs.files.grow(path, 96n << 20n);
  write(testRoot, 'data');
  if (isCut) await snapshots.create(snap('s', { id }));
  expect(await migrateVolume(driver.host, id, other)).toBe(how);
  const [moved = ''] = filesIn(other);
  expect((await gpfs.files.stat(moved)).size).toBe(96n << 20n);
  expect((await volumes.get(id)).bytes).toBe(96n << 20n);
  expect(read(other)).toEqual(['data']);
});

test('a volume that shares blocks is copied, and its snapshots stay where they are', async () => {
  const { driver, volumes, snapshots, attachments, write, read } = await setup();
  const { id } = await volumes.create(spec('v'));
  write(testRoot, 'before');
  const cut = await snapshots.create(snap('s', { id }));
  await attachments.publish(attach(id));
  write(testRoot, 'after');
  await attachments.unpublish(id, 'a1');
  expect(await migrateVolume(driver.host, id, other)).toBe('copied');
  expect(read(other)).toEqual(['after']);
  expect(read(testRoot)).toEqual([]);
  const restored = await volumes.create(spec('r', { source: from('snapshot', cut) }));
  expect(read(testRoot)).toEqual(['before']);
  await snapshots.create(snap('s2', { id }));
  for (const each of [restored.id, id]) await volumes.remove(each);
});

test('a name that went away is free again when its volume is gone', async () => {
  const { driver, volumes } = await setup();
  const { id } = await volumes.create(spec('v'));
  await migrateVolume(driver.host, id, other);
  await expect(volumes.create(spec('v'))).rejects.toThrow(/was moved to root .*-2/);
  await volumes.remove(id);
  expect((await volumes.create(spec('v'))).id).toBe(id);
});

/** What the one file of a volume holds, wherever it is by now; its record must be at rest. */
async function content(gpfs: Cluster, driver: Driver, id: string): Promise<string | undefined> {
  const place = await driver.roots.byId(id);
  const record = (await place?.store.volumes.read(place.local))?.value;
  expect(record).toMatchObject({ state: 'ready', claim: null, handle: id });
  if (!place || !record?.image) return undefined;
  return gpfs.readBlock(place.store.layout.data('volumes', record.image.key), 0);
}

/** A move by a server of its own, which dies after so many calls; resolves to how many it made. */
async function moveUntil(gpfs: Cluster, id: string, n: number): Promise<number> {
  const view = gpfs.server('b1');
  const server = serverOn(view, 'b1', { roots: [testRoot, other] });
  await server.roots.all();
  const before = view.calls;
  view.crashAt(n, 'after');
  await migrateVolume(server.host, id, other).catch(() => undefined);
  const made = view.calls - before;
  view.heal();
  return made;
}

test('a crash at any point: the volume is whole, in one place, and a second try ends it', async () => {
  for (let n = 1, ended = false; !ended; n++) {
    const { gpfs, driver, volumes, snapshots, write } = await setup();
    const { id } = await volumes.create(spec('v'));
    write(testRoot, 'data');
    if (n % 2 === 0) await snapshots.create(snap('s', { id }));
    ended = (await moveUntil(gpfs, id, n)) < n;
    const third = serverOn(gpfs.server('b1'), 'b1', { roots: [testRoot, other] });
    await third.roots.all();
    expect(['renamed', 'copied', 'there already']).toContain(
      await migrateVolume(third.host, id, other),
    );
    expect(await content(gpfs, driver, id), `after call ${n}`).toBe('data');
    const listed = (await volumes.list({ max: 0, token: '' })).items.map((each) => each.id);
    expect(listed, `after call ${n}`).toEqual([id]);
  }
});

test('a snapshot of a volume that moved asks its node to freeze it by the id that node knows', async () => {
  const { driver, volumes, attachments } = await setup();
  const { id } = await volumes.create(
    spec('v', { capabilities: [mounted()], parameters: { freeze: 'auto' } }),
  );
  await migrateVolume(driver.host, id, other);
  await attachments.publish(attach(id, 'a1', mounted()));
  const place = await driver.roots.byId(id);
  const record = (await place?.store.volumes.read(place.local))?.value;
  if (!place || !record) throw new Error('the volume is not there');
  expect(place.store.layout.root).toBe(other);
  const asked: string[] = [];
  const freezes: typeof place.store.freezes = {
    ...place.store.freezes,
    ask: (node, what) => {
      asked.push(what.volume);
      return place.store.freezes.ask(node, what);
    },
  };
  await whileFrozen(driver.host, { ...place.store, freezes }, record, () => Promise.resolve());
  expect(asked).toEqual([id]);
});

test('a volume that a lost node may still have open is not moved, by rename or by copy', async () => {
  const { driver, volumes, snapshots, attachments, filesIn } = await setup();
  const [store] = await driver.roots.all();
  const { id } = await volumes.create(spec('v'));
  const key = (await store?.volumes.read('v'))?.value.image?.key;
  if (!store || !key) throw new Error('the volume is not there');
  await attachments.publish(attach(id));
  await store.marks.set(key, driver.host.self);
  await attachments.unpublish(id, 'a1');
  const refused = {
    fault: { kind: 'in-use' },
    message: expect.stringContaining('node a1') as string,
  };
  for (const way of ['rename', 'copy']) {
    if (way === 'copy') await snapshots.create(snap('s', { id }));
    const before = [...filesIn(testRoot), ...filesIn(other)];
    await expect(migrateVolume(driver.host, id, other), way).rejects.toMatchObject(refused);
    expect([...filesIn(testRoot), ...filesIn(other)], way).toEqual(before);
  }
  await store.marks.clear(key, driver.host.self.node);
  expect(await migrateVolume(driver.host, id, other)).toBe('copied');
});

/** The image of a volume, wherever its handle leads. */
async function imagePath({ roots }: Driver, id: string): Promise<string> {
  const place = await roots.byId(id);
  const image = (await place?.store.volumes.read(place.local))?.value.image;
  if (!place || !image) throw new Error('the volume is not there');
  return place.store.layout.data('volumes', image.key);
}

/** Time in which every server but this one falls silent. */
async function outlive(gpfs: Cluster, { roots, host }: Driver): Promise<void> {
  gpfs.clock.tick(goneAfterMs + 1);
  for (const store of await roots.all()) await store.nodes.beat(host.self.node);
}

test.each([
  ['rename', 'renamed'],
  ['copy', 'copied'],
])('a %s that comes too late takes nothing away, and what arrived goes', async (how, again) => {
  const { gpfs, driver, volumes, snapshots, attachments, filesIn } = await setup();
  const { id } = await volumes.create(spec('v'));
  if (how === 'copy') await snapshots.create(snap('s', { id }));
  const late = serverOn(gpfs.server('b1'), 'b1', { roots: [testRoot, other] });
  const [origin] = await late.roots.all();
  if (!origin) throw new Error('no root');
  const swap = origin.volumes.swap.bind(origin.volumes);
  // All has arrived, and the server stands still until another one has the volume and writes.
  const stalling: typeof swap = async (name, held, next, durability) => {
    if (next.claim?.movedTo !== undefined) {
      expect(filesIn(other)).toHaveLength(1);
      await outlive(gpfs, driver);
      await attachments.publish(attach(id));
      gpfs.write(await imagePath(driver, id), 0, 'acknowledged');
    }
    return swap(name, held, next, durability);
  };
  Object.assign(origin.volumes, { swap: stalling });
  const moving = migrateVolume(late.host, id, other);
  await expect(moving).rejects.toMatchObject({ fault: { kind: 'busy' } });
  const path = await imagePath(driver, id);
  expect(path).toMatch(new RegExp(`^${testRoot}/`));
  expect(gpfs.readBlock(path, 0)).toBe('acknowledged');
  expect(filesIn(other)).toEqual([]);
  await attachments.unpublish(id, 'a1');
  expect(await migrateVolume(driver.host, id, other)).toBe(again);
});

test('a crash at any point of a move: another node gets the volume, and its deletion leaves none', async () => {
  let told = 0;
  for (let n = 1, ended = false; !ended; n++) {
    const { gpfs, driver, volumes, attachments, filesIn, write } = await setup();
    const { id } = await volumes.create(spec('v'));
    write(testRoot, 'data');
    ended = (await moveUntil(gpfs, id, n)) < n;
    await outlive(gpfs, driver);
    // A caller that finds a move that was handed over is asked once to try again; the volume is never missing.
    await attachments.publish(attach(id)).catch(async (error: unknown) => {
      expect(error, `after call ${n}`).toMatchObject({ fault: { kind: 'busy' } });
      told++;
      await attachments.publish(attach(id));
    });
    const path = await imagePath(driver, id);
    expect(gpfs.readBlock(path, 0), `after call ${n}`).toBe('data');
    await attachments.unpublish(id, 'a1');
    await volumes.remove(id);
    const root = path.startsWith(`${other}/`) ? other : testRoot;
    expect(filesIn(root), `after call ${n}`).toEqual([]);
  }
  expect(told).toBeGreaterThan(0);
});
