import { describe, expect, test } from 'vitest';
import { GiB, MiB } from '../../../../src/model/bytes.ts';
import {
  block,
  clusterWithRoot,
  dataFiles,
  from,
  mounted,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from '../../../support/memory/driver.ts';

const setup = async () => {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs);
  await driver.roots.all();
  return { gpfs, driver, ...driver };
};

const fault = (kind: string) =>
  expect.objectContaining({ fault: expect.objectContaining({ kind }) as unknown }) as unknown;

/** The image file of a volume, by what the tree of files shows. */
const imagePath = (gpfs: Cluster, name: string): string => {
  const found = dataFiles(gpfs).filter((path) => new RegExp(`^volumes/.../${name}\\.`).test(path));
  expect(found).toHaveLength(1);
  return `${testRoot}/${found[0] ?? ''}`;
};

describe('create', () => {
  test('an empty volume is one sparse file, found again by its name', async () => {
    const { gpfs, volumes } = await setup();
    const made = await volumes.create(spec('pvc-1'));
    expect(made).toMatchObject({ bytes: 64n * MiB, context: {}, publishedNodes: [] });
    expect(await volumes.create(spec('pvc-1'))).toEqual(made);
    expect(await volumes.get(made.id)).toEqual(made);
    expect(dataFiles(gpfs)).toHaveLength(1);
    expect((await gpfs.files.stat(imagePath(gpfs, 'pvc-1'))).mode).toBe(0o660);
  });

  test.each([
    ['another size', { range: { requiredBytes: 65n * MiB, limitBytes: 0n } }],
    ['another capability', { capabilities: [mounted()] }],
    ['other parameters', { parameters: { pool: 'data' } }],
  ])('an existing name with %s is refused', async (_, rest) => {
    const { volumes } = await setup();
    await volumes.create(spec('pvc-1'));
    await expect(volumes.create(spec('pvc-1', rest))).rejects.toEqual(fault('name-taken'));
  });

  test('a restore sees the snapshot, not what came after, and each diverges alone', async () => {
    const { gpfs, volumes, snapshots } = await setup();
    const source = await volumes.create(spec('source'));
    gpfs.write(imagePath(gpfs, 'source'), 0, 'before');
    const cut = await snapshots.create(snap('cut', source));
    gpfs.write(imagePath(gpfs, 'source'), 0, 'after');
    const restored = await volumes.create(spec('restored', { source: from('snapshot', cut) }));
    expect(gpfs.readBlock(imagePath(gpfs, 'restored'), 0)).toBe('before');
    gpfs.write(imagePath(gpfs, 'restored'), 0, 'mine');
    expect(gpfs.readBlock(imagePath(gpfs, 'source'), 0)).toBe('after');
    expect(restored.source).toEqual({ kind: 'snapshot', id: cut.id });
  });

  test('a clone larger than its source is larger, a smaller one is refused', async () => {
    const { volumes } = await setup();
    const source = from('volume', await volumes.create(spec('source')));
    const large = await volumes.create(
      spec('large', { source, range: { requiredBytes: GiB, limitBytes: 0n } }),
    );
    expect(large.bytes).toBe(GiB);
    const small = spec('small', { source, range: { requiredBytes: MiB, limitBytes: 0n } });
    await expect(volumes.create(small)).rejects.toEqual(fault('size-out-of-range'));
    expect((await volumes.create(spec('same', { source, range: undefined }))).bytes).toBe(
      64n * MiB,
    );
  });
});

describe('delete', () => {
  test('in any order, leaving nothing', async () => {
    const { gpfs, volumes, snapshots } = await setup();
    const source = await volumes.create(spec('source'));
    const cut = await snapshots.create(snap('cut', source));
    const later = await snapshots.create(snap('later', source));
    const clone = await volumes.create(spec('clone', { source: from('volume', source) }));
    const restored = await volumes.create(spec('restored', { source: from('snapshot', cut) }));
    await volumes.remove(source.id);
    await snapshots.remove(cut.id);
    await volumes.remove(restored.id);
    await snapshots.remove(later.id);
    await volumes.remove(clone.id);
    expect(dataFiles(gpfs)).toEqual([]);
    await Promise.all([volumes.remove(source.id), snapshots.remove(cut.id)]);
    expect((await volumes.list({ max: 0, token: '' })).items).toEqual([]);
  });

  test('an attached volume stays, and the reason names the node', async () => {
    const { volumes, attachments } = await setup();
    const { id } = await volumes.create(spec('pvc-1'));
    await attachments.publish({
      id,
      node: 'a1',
      capability: block(),
      readonly: false,
      context: new Map(),
    });
    await expect(volumes.remove(id)).rejects.toThrow(/attached to node a1/);
    await attachments.unpublish(id, '');
    await volumes.remove(id);
  });
});

test('a request costs no more mm commands than it must', async () => {
  const { gpfs, volumes, snapshots, attachments } = await setup();
  const cost = async <T>(work: Promise<T>): Promise<[T, number]> => {
    gpfs.resetCounts();
    const done = await work;
    return [done, [...gpfs.counts.commands.values()].reduce((a, b) => a + b, 0)];
  };
  const [source, create] = await cost(volumes.create(spec('source')));
  const [cut, snapshot] = await cost(snapshots.create(snap('cut', source)));
  const [, restore] = await cost(volumes.create(spec('r', { source: from('snapshot', cut) })));
  await attachments.publish({
    id: source.id,
    node: 'a1',
    capability: block(),
    readonly: false,
    context: new Map(),
  });
  await attachments.unpublish(source.id, 'a1');
  const [, clone] = await cost(volumes.create(spec('c1', { source: from('volume', source) })));
  const [, again] = await cost(volumes.create(spec('c2', { source: from('volume', source) })));
  const [, expand] = await cost(
    volumes.expand(source.id, { requiredBytes: GiB, limitBytes: 0n }, undefined),
  );
  const [, remove] = await cost(volumes.remove(source.id));
  const [, list] = await cost(volumes.list({ max: 0, token: '' }));
  expect({ create, snapshot, restore, clone, again, expand, remove, list }).toEqual({
    create: 0,
    snapshot: 1,
    restore: 1,
    clone: 2,
    again: 1,
    expand: 0,
    remove: 0,
    list: 0,
  });
});
