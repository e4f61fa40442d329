import { describe, expect, test } from 'vitest';
import { publicId } from '../../../../src/model/ids.ts';
import { findObjects, findOne } from '../../../../src/service/finder/find.ts';
import { handleOf, keyOf, kindWords } from '../../../../src/service/finder/found.ts';
import { snap, spec } from '../../../support/memory/driver.ts';
import { twoRoots } from '../../../support/memory/two-roots.ts';

const named = (kind: string, namespace: string, name: string) =>
  new Map([
    [`csi.storage.k8s.io/${kind}/namespace`, namespace],
    [`csi.storage.k8s.io/${kind}/name`, name],
  ]);
const claim = (name: string, namespace = 'app') => ({
  parameters: Object.fromEntries(named('pvc', namespace, name)),
});

const pv = 'pvc-0a1b2c3d-0000-4000-8000-0123456789ab';

/** Claim app/data with a snapshot app/nightly, a claim of the same name elsewhere, and a volume of any name. */
async function site() {
  const roots = await twoRoots();
  const { volumes, snapshots, home } = roots;
  const data = await volumes.create(spec(pv, claim('data')));
  await volumes.create(spec('pvc-2', claim('data', 'test')));
  const odd = await volumes.create(spec('../an odd name\n'));
  const cut = {
    ...snap('snapshot-1', data),
    parameters: named('volumesnapshot', 'app', 'nightly'),
  };
  const nightly = await snapshots.create(cut);
  const stores = await roots.roots.all();
  const key = async (local: string) => (await home.volumes.read(local))?.value.image?.key ?? '';
  /** `kind handle` of all that a word names. */
  const find = async (word: string) =>
    (await findObjects(stores, word)).objects.map((each) => `${kindWords(each)} ${handleOf(each)}`);
  return { ...roots, stores, find, data, odd, nightly, key };
}

describe('one object by each of its names', () => {
  test('a volume: claim, PersistentVolume, handle, data file, path of file and record', async () => {
    const { find, data, odd, key, home } = await site();
    const image = await key(pv);
    const path = home.layout.data('volumes', image as never);
    const record = `${home.layout.recordShard('volumes', pv)}/${pv}.3`;
    for (const word of ['app/data', pv, data.id, image, path, record, `volume:${pv}`])
      expect([word, await find(word)]).toEqual([word, [`volume ${data.id}`]]);
    expect(await find('../an odd name\n')).toEqual([`volume ${odd.id}`]);
    expect(await find(odd.id)).toEqual([`volume ${odd.id}`]);
    expect(await find(odd.id.slice(9))).toEqual([`volume ${odd.id}`]);
  });

  test('a snapshot: namespace and name, plain name, content, handle', async () => {
    const { find, nightly } = await site();
    for (const word of ['app/nightly', 'nightly', 'snapshot-1', nightly.id])
      expect([word, await find(word)]).toEqual([word, [`snapshot ${nightly.id}`]]);
  });

  test('what a deleted snapshot left, by its handle and by its file', async () => {
    const { find, snapshots, nightly, home, volumes, stores } = await site();
    await volumes.create(spec('r', { source: { kind: 'snapshot', id: nightly.id } }));
    await snapshots.remove(nightly.id);
    expect(await find(nightly.id)).toEqual([`deleted snapshot ${nightly.id}`]);
    const [left] = (await findObjects(stores, nightly.id)).objects;
    expect(left && keyOf(left)).toMatch(/^snapshot-1\./);
    expect(await find(home.layout.data('snapshots', (left && keyOf(left)) as never))).toHaveLength(
      1,
    );
  });

  test('a volume that moved is found by the handle that it had', async () => {
    const { find, data, home, away, stores } = await site();
    const held = await home.volumes.read(pv);
    if (!held) throw new Error('no record');
    const moved = { ...held.value, handle: data.id };
    await away.volumes.swap(pv, undefined, moved);
    await home.volumes.swap(pv, held, { ...held.value, state: 'deleted', deletedMs: 1 });
    expect(await find(data.id)).toEqual([`volume ${data.id}`]);
    expect((await findOne(stores, 'app/data', ['volume'])).store).toBe(away);
    expect(await find(publicId(away.id, pv as never))).toEqual([]);
  });
});

describe('what is not one object', () => {
  test('several of one name are listed, each with a word that names only it', async () => {
    const { find, stores, volumes, data } = await site();
    expect(await find('data')).toHaveLength(2);
    const error = await findOne(stores, 'data', ['volume']).then(handleOf, String);
    expect(error).toMatch(/"data" names 2 objects; say which one: volume:.*app\/data.*test\/data/);
    const [, word = ''] = /(volume:\S+) /.exec(error) ?? [];
    expect(await find(word)).toEqual([`volume ${data.id}`]);
    // The name of a volume is one more name of that kind.
    await volumes.create(spec('data'));
    expect(await find('data')).toHaveLength(3);
  });

  test('a claim made again counts alone; the deleted one only without it', async () => {
    const { find, volumes, snapshots, nightly, data } = await site();
    await snapshots.remove(nightly.id);
    await volumes.remove(data.id);
    expect(await find('app/data')).toEqual([`volume ${data.id}`]);
    const again = await volumes.create(spec('pvc-3', claim('data')));
    expect(await find('app/data')).toEqual([`volume ${again.id}`]);
  });

  test.each([
    ['app/none', /a claim or a VolumeSnapshot of this namespace and name/],
    ['00000000.none', /a handle, a claim/],
    ['none.1-ab', /a data file, a claim/],
    ['/dev/null', /a data file or a record at this path/],
    ['../../etc/passwd', /is called "\.\.\/\.\.\/etc\/passwd"/],
    ['a\u0000b', /has a zero byte/],
    ['', /is empty/],
    ['x'.repeat(4097), /is longer than 4096/],
    ['volume:nightly', /no volume or snapshot is called/],
  ])('%j is unknown, and says what was looked for', async (word, why) => {
    const { stores } = await site();
    expect(await findOne(stores, word, ['volume', 'snapshot']).catch(String)).toMatch(why);
  });

  test('a record that cannot be read is counted, and the others are found', async () => {
    const { gpfs, home, stores, find, data } = await site();
    const version = (await home.volumes.read('pvc-2'))?.version ?? 0;
    const path = `${home.layout.recordShard('volumes', 'pvc-2')}/pvc-2.${version}`;
    await gpfs.files.overwrite(path, '{"format":1}');
    expect(await find('data')).toEqual([`volume ${data.id}`]);
    expect((await findObjects(stores, 'data')).problems).toHaveLength(1);
    expect(await findOne(stores, 'nope', ['volume']).catch(String)).toMatch(/1 records? cannot/);
  });
});
