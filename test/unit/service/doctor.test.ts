import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { clusterWithRoot, serverOn, spec, testRoot } from '../../support/driver.ts';
import { edit, forest, found, removeState, repaired } from '../../support/forest.ts';
import type { Forest } from '../../support/forest.ts';
import { scenarios, newWorld, quiet } from '../../support/scenarios.ts';
import { contents, expectSound, living, recordsIn } from '../../support/truth.ts';

const kinds = async (world: Pick<Forest, 'gpfs' | 'store'>) =>
  (await found(world)).map(({ kind, object }) => `${kind}: ${object}`);

const hiddenOf = (world: Forest, why: string) => {
  const record = recordsIn(world.gpfs, 'hidden').find((each) => each.data === why);
  if (!record) throw new Error(`there is no ${why} parent`);
  return record.id;
};

describe('a sound root', () => {
  test('has no findings, and a repair changes nothing', async () => {
    const world = await forest();
    expect(await found(world)).toEqual([]);
    const before = world.gpfs.paths();
    expect(await repaired(world)).toEqual([]);
    expect(world.gpfs.paths()).toEqual(before);
    expectSound(world.gpfs);
  });

  test.each(scenarios)('after "$name" has none but notes', async ({ prepare, act }) => {
    const world = await newWorld();
    await prepare(world);
    await act(world.driver, world);
    await quiet(world.gpfs);
    const [store] = await world.driver.roots.all();
    if (!store) throw new Error('the root is not there');
    expect(await found({ gpfs: world.gpfs, store })).toEqual([]);
  });

  test('is only read by an audit', async () => {
    const world = await forest();
    world.gpfs.resetCounts();
    await found(world);
    expect([...world.gpfs.counts.commands]).toEqual([['mmclone show', 1]]);
    expect([...world.gpfs.counts.files.keys()].sort()).toEqual(['list', 'read', 'stat']);
  });
});

interface Damage {
  readonly name: string;
  readonly harm: (world: Forest) => Promise<unknown>;
  readonly finds: (world: Forest) => readonly string[];
  /** What is left to a human after a repair; everything, where nothing is said. */
  readonly left?: 'nothing' | 'all';
}

const rename = (world: Forest, name: string, to: string) =>
  world.gpfs.files.rename(world.path(name), to);

const damages: readonly Damage[] = [
  {
    name: 'a volume record that is no JSON',
    harm: (world) => edit(world, 'volumes', 'lone', () => '{ "format": 1, '),
    finds: ({ store }) => [
      `damaged record: ${store.layout.recordShard('volumes', 'lone')}/lone.2`,
      'orphan',
    ],
    left: 'nothing',
  },
  {
    name: 'a record that lacks a field',
    harm: (world) => edit(world, 'volumes', 'lone', ({ bytes: _, ...rest }) => rest),
    finds: ({ store }) => [
      `damaged record: ${store.layout.recordShard('volumes', 'lone')}/lone.2`,
      'orphan: lone',
    ],
    left: 'nothing',
  },
  {
    name: 'a record under the name of another object',
    harm: (world) => edit(world, 'volumes', 'lone', (record) => ({ ...record, id: 'v' })),
    finds: ({ store }) => [
      `damaged record: ${store.layout.recordShard('volumes', 'lone')}/lone.2`,
      'orphan: lone',
    ],
    left: 'nothing',
  },
  {
    name: 'a record of a newer version',
    harm: (world) => edit(world, 'hidden', hiddenOf(world, 'hidden'), (r) => ({ ...r, format: 9 })),
    finds: () => ['newer record', 'orphan'],
  },
  {
    name: 'a volume record that names the image of another volume',
    harm: (world) =>
      edit(world, 'volumes', 'lone', (record) => ({
        ...record,
        image: { key: basename(world.path('volumes/r')), inode: '1' },
      })),
    finds: () => [
      ...['replaced file: lone', 'shared file: lone', 'shared file: r', 'wrong parent: lone'],
      'orphan',
    ],
  },
  {
    name: 'an image that was removed',
    harm: (world) => world.gpfs.files.unlink(world.path('volumes/lone')),
    finds: () => ['missing file: lone'],
  },
  {
    name: 'an image that was renamed',
    harm: (world) => rename(world, 'volumes/lone', `${world.path('volumes/lone')}.mine`),
    finds: () => ['renamed file: lone'],
  },
  {
    name: 'an image that was replaced',
    harm: async (world) => {
      const path = world.path('volumes/lone');
      await rename(world, 'volumes/lone', '/gpfs/fs1/csi-data/saved');
      await world.gpfs.files.createSparse(path, 64n << 20n, 0o660);
    },
    finds: () => ['replaced file: lone'],
  },
  {
    name: 'an image that is too short',
    harm: (world) =>
      edit(world, 'volumes', 'lone', (record) => ({ ...record, bytes: String(128n << 20n) })),
    finds: () => ['short file: lone'],
  },
  {
    name: 'a directory in place of an image',
    harm: async (world) => {
      const path = world.path('volumes/lone');
      await world.gpfs.files.unlink(path);
      await world.gpfs.files.makeDirectory(path, 0o750);
    },
    finds: () => ['not a file: lone'],
  },
  {
    name: 'a parent that does not exist',
    harm: (world) => edit(world, 'volumes', 'v', (r) => ({ ...r, parent: 'nobody.1-00000000' })),
    finds: () => ['unknown parent: v'],
    left: 'nothing',
  },
  {
    name: 'a parent that is another one',
    harm: (world) =>
      edit(world, 'volumes', 'r', (r) => ({ ...r, parent: basename(world.path('snapshots/s2')) })),
    finds: () => ['child without edge: r', 'wrong parent: r'].reverse(),
    left: 'nothing',
  },
  {
    name: 'no parent where there is one',
    harm: (world) => edit(world, 'volumes', 'r', (record) => ({ ...record, parent: null })),
    finds: () => ['wrong parent: r'],
    left: 'nothing',
  },
  {
    name: 'a circle of parents',
    harm: (world) =>
      edit(world, 'snapshots', 's1', (record) => ({
        ...record,
        parent: basename(world.path('snapshots/s2')),
      })),
    finds: () => ['cycle', 'wrong parent: s1', 'child without edge: s1'],
    left: 'nothing',
  },
  {
    name: 'a stray file',
    harm: ({ gpfs }) => gpfs.files.createSparse(`${testRoot}/volumes/notes.txt`, 5n, 0o600),
    finds: () => ['strange file'],
    left: 'nothing',
  },
  {
    name: 'an image that no record names',
    harm: async (world) => {
      const path = world.path('volumes/lone').replace(/lone\..*/, 'lone.99-abcdef00');
      await world.gpfs.files.createSparse(path, 4096n, 0o660);
    },
    finds: () => ['orphan'],
    left: 'nothing',
  },
  {
    name: 'an edge to nobody',
    harm: ({ store, path }) =>
      store.edges.add(basename(path('snapshots/s1')) as never, 'gone.1-00000000' as never),
    finds: () => ['edge without child'],
    left: 'nothing',
  },
  {
    name: 'no edges at all',
    harm: ({ gpfs }) => removeState(gpfs, 'edges'),
    finds: () => Array.from({ length: 6 }, () => 'child without edge'),
    left: 'nothing',
  },
  {
    name: 'a tombstone without a record',
    harm: async (world) => {
      const key = hiddenOf(world, 'snapshots');
      const held = await world.store.hidden.read(key);
      if (held) await world.store.hidden.forget(held);
    },
    finds: () => ['orphan'],
    left: 'nothing',
  },
  {
    name: 'a level that a stalled server cut late',
    harm: async (world) => {
      const parent = world.path('volumes/lone').replace(/\/volumes\/.*/, '/hidden');
      const late = world.store.layout.data('hidden', 'lone.7-0a0b0c0d' as never);
      await world.store.directoryOf(late);
      await world.gpfs.run(['mmclone', 'snap', world.path('volumes/lone'), late], 'write');
      expect(late.startsWith(parent)).toBe(true);
    },
    finds: () => ['extra level: lone', 'orphan'],
    left: 'nothing',
  },
  {
    name: 'a clone that lies outside of the root',
    harm: (world) =>
      world.gpfs.run(
        ['mmclone', 'copy', world.path('snapshots/s1'), '/gpfs/fs1/csi-data/mine'],
        'write',
      ),
    finds: () => ['unknown children: s1'],
  },
  {
    name: 'a parent that was moved out of the root',
    harm: (world) => rename(world, 'snapshots/s1', '/gpfs/fs1/csi-data/mine'),
    finds: () => ['missing file: s1', 'nameless parent', 'nameless parent'],
  },
  {
    name: 'a mark of a machine that has booted since',
    harm: async (world) => {
      const self = { node: 'b1', machineId: 'm', bootId: 'old', instance: 'i', version: '1' };
      await world.store.nodes.register({ ...self, bootId: 'new', maxVolumes: 1 });
      const image = basename(world.path('volumes/lone')) as never;
      await world.store.marks.set(image, { ...self, maxVolumes: 1 });
    },
    finds: () => ['stale mark'],
    left: 'nothing',
  },
];

describe('a root that somebody damaged', () => {
  test.each(damages)(
    '$name: is found by name, twice the same, and nothing is lost',
    async (damage) => {
      const world = await forest();
      const expected = damage.finds(world).map((each) => each.split(':')[0]);
      const names = damage.finds(world);
      await damage.harm(world);
      world.gpfs.clock.tick(2 * 3_600_000);
      await world.store.nodes.beat('a1');
      const first = await kinds(world);
      expect(first.map((each) => each.split(':')[0]).sort()).toEqual([...expected].sort());
      for (const name of names.filter((each) => /: \w+$/.test(each) && !each.startsWith('orphan')))
        expect(first).toContain(name);
      expect(await kinds(world)).toEqual(first);
      const data = () => [...dataInodes(world)].sort();
      const before = data();
      await repaired(world);
      expect(data()).toEqual(before);
      const after = await kinds(world);
      if (damage.left === 'nothing') expect(after).toEqual([]);
      else expect(after.length).toBeGreaterThan(0);
      const paths = world.gpfs.paths();
      await repaired(world);
      expect(world.gpfs.paths()).toEqual(paths);
    },
  );

  test('the running driver goes on with the rest, and removes nothing on a guess', async () => {
    for (const { name, harm } of damages) {
      const world = await forest();
      await harm(world);
      const before = dataInodes(world);
      world.gpfs.clock.tick(2 * 3_600_000);
      const restarted = serverOn(world.gpfs);
      await restarted.roots.all();
      await quiet(world.gpfs);
      const kept = [...before].filter((inode) => !dataInodes(world).has(inode));
      expect(kept, name).toEqual([]);
      const other = await restarted.volumes.create(spec('other'));
      expect((await restarted.volumes.get(other.id)).id, name).toBe(other.id);
      await restarted.volumes.remove(other.id);
    }
  });
});

/** Inodes of all data, wherever they lie now. */
const dataInodes = ({ gpfs }: Forest): ReadonlySet<string> =>
  new Set(
    gpfs
      .paths()
      .filter((path) => /\/(?:volumes|snapshots|hidden)\//.test(path) && !/records\//.test(path))
      .concat(gpfs.paths().filter((path) => /csi-data\/(?:saved|mine)$/.test(path)))
      .map((path) => {
        const file = gpfs.open(path, 'read');
        file.close();
        return file.inode;
      }),
  );

describe('deleting what somebody damaged', () => {
  test('a volume whose record names the image of another is refused, and both stay', async () => {
    const world = await forest();
    const victim = world.path('volumes/r');
    await edit(world, 'volumes', 'lone', (record) => ({
      ...record,
      image: { key: basename(victim), inode: '1' },
    }));
    const id = world.ids.get('lone') ?? '';
    await expect(world.driver.volumes.remove(id)).rejects.toThrow(
      /volume lone cannot be deleted: .* belongs to r; gpfs-csi doctor/,
    );
    expect(world.gpfs.paths()).toContain(victim);
    expect((await world.driver.volumes.get(id)).id).toBe(id);
  });

  test('a volume whose image was replaced is refused, and goes once the file is back', async () => {
    const world = await forest();
    const path = world.path('volumes/lone');
    const saved = '/gpfs/fs1/csi-data/saved';
    await world.gpfs.files.rename(path, saved);
    await world.gpfs.files.createSparse(path, 64n << 20n, 0o660);
    const id = world.ids.get('lone') ?? '';
    await expect(world.driver.volumes.remove(id)).rejects.toThrow(/has inode \d+, and its record/);
    await world.gpfs.files.unlink(path);
    await world.gpfs.files.rename(saved, path);
    await world.driver.volumes.remove(id);
    expect(await found(world)).toEqual([]);
  });

  test('a snapshot whose record names another file is refused', async () => {
    const world = await forest();
    await edit(world, 'snapshots', 's2', (record) => ({
      ...record,
      file: { key: basename(world.path('snapshots/s1')), inode: '1' },
    }));
    await expect(world.driver.snapshots.remove(world.ids.get('s2') ?? '')).rejects.toThrow(
      /snapshot s2 cannot be deleted/,
    );
  });

  test('everything in a root with a circle and a lost parent leaves nothing that lives on', async () => {
    const world = await forest();
    await edit(world, 'snapshots', 's1', (record) => ({
      ...record,
      parent: basename(world.path('snapshots/s2')),
    }));
    await edit(world, 'volumes', 'r', (r) => ({ ...r, parent: 'nobody.1-00000000' }));
    const before = contents(world.gpfs);
    await world.driver.volumes.remove(world.ids.get('v') ?? '');
    await world.driver.snapshots.remove(world.ids.get('s1') ?? '');
    const { 'volumes/v': _v, 'snapshots/s1': _s, ...rest } = before;
    expect(contents(world.gpfs)).toEqual(rest);
  });
});

describe('a root whose records and edges are gone', () => {
  test('is rebuilt from its files, and everything in it reads as before', async () => {
    const world = await forest();
    const before = living(world.gpfs);
    const values = contents(world.gpfs);
    await removeState(world.gpfs, 'records', 'edges');
    expect((await kinds(world)).every((each) => each.startsWith('orphan'))).toBe(true);
    const told = await repaired(world);
    expect(told.filter((each) => each.startsWith('made a record')).length).toBe(8);
    expect(await found(world)).toEqual([]);
    // The tombstone cannot be told from a snapshot any more, so it is one again.
    const dead = [...living(world.gpfs).keys()].filter((name) => !before.has(name));
    expect(dead).toEqual(['snapshots/dead']);
    for (const [name, key] of before) expect(living(world.gpfs).get(name)).toBe(key);
    expect(contents(world.gpfs)).toMatchObject(values);
    expect(await world.store.volumes.read('lone')).toMatchObject({
      value: { bytes: 64n << 20n, content: { kind: 'unknown' }, attachments: [], state: 'ready' },
    });
    const driver = serverOn(world.gpfs);
    await driver.roots.all();
    for (const name of ['r', 'v', 'c', 'lone'])
      await driver.volumes.remove(world.ids.get(name) ?? '');
    for (const name of ['s1', 's2']) await driver.snapshots.remove(world.ids.get(name) ?? '');
    await driver.snapshots.remove((world.ids.get('s1') ?? '').replace(/s1$/, 'dead'));
    await quiet(world.gpfs);
    expectSound(world.gpfs);
    expect(living(world.gpfs).size).toBe(0);
  });

  test('does not guess between two images of one volume', async () => {
    const world = await forest();
    const path = world.path('volumes/lone').replace(/lone\..*/, 'lone.99-abcdef00');
    await world.gpfs.files.createSparse(path, 4096n, 0o660);
    await removeState(world.gpfs, 'records', 'edges');
    world.gpfs.clock.tick(2 * 3_600_000);
    const told = await repaired(world);
    expect(told.filter((each) => each.includes('several images'))).toHaveLength(2);
    expect(world.gpfs.paths()).toContain(path);
    expect(await world.store.volumes.read('lone')).toBeUndefined();
  });
});

describe('a repair beside running servers', () => {
  test('leaves what is young', async () => {
    const world = await forest();
    const young = world.path('volumes/lone').replace(/lone\..*/, 'lone.99-abcdef00');
    await world.gpfs.files.createSparse(young, 4096n, 0o660);
    expect(await repaired(world)).toEqual([expect.stringMatching(/left .*too young/)]);
    expect(world.gpfs.paths()).toContain(young);
  });

  test('touches nothing that a living server has claimed, at any point of any operation', async () => {
    for (const scenario of scenarios) {
      const calls = await callsOf(scenario);
      for (let n = 1; n <= calls; n++) {
        const world = await newWorld();
        await scenario.prepare(world);
        const [store] = await world.driver.roots.all();
        if (!store) throw new Error('the root is not there');
        const release = world.gpfs.stallAt(n, 'after');
        const acting = scenario.act(world.driver, world);
        await quiet(world.gpfs);
        const told = await repaired({ gpfs: viewB(world.gpfs), store: await storeB(world) }, 0);
        release();
        const at = `${scenario.name}, stalled after call ${n}: ${told.join('; ')}`;
        expect(await acting.catch((error: unknown) => String(error)), at).toBe(scenario.told);
        await quiet(world.gpfs);
        expect(await found({ gpfs: world.gpfs, store }), at).toEqual([]);
        expect(contents(world.gpfs), at).toEqual(scenario.after);
      }
    }
  });
});

const viewB = (gpfs: Awaited<ReturnType<typeof clusterWithRoot>>) =>
  Object.assign(Object.create(gpfs) as typeof gpfs, gpfs.server('b1'));

async function storeB({ gpfs }: Awaited<ReturnType<typeof newWorld>>) {
  const [store] = await serverOn(gpfs.server('b1'), 'b1').roots.all();
  if (!store) throw new Error('the root is not there');
  await quiet(gpfs);
  return store;
}

async function callsOf(scenario: (typeof scenarios)[number]): Promise<number> {
  const world = await newWorld();
  await scenario.prepare(world);
  const before = world.gpfs.calls;
  await scenario.act(world.driver, world);
  return world.gpfs.calls - before;
}
