import { expect, test } from 'vitest';
import { knowsClones, parseRelease } from '../../../src/gpfs/release.ts';
import { GiB, KiB, MiB } from '../../../src/model/bytes.ts';
import { importImage } from '../../../src/service/images/images.ts';
import {
  block,
  clusterWithRoot,
  dataFiles,
  from,
  serverOn,
  snap,
  spec,
  tend,
  testRoot,
} from '../../support/memory/driver.ts';
import { mmFails } from '../../support/memory/breaking.ts';
import { quiet } from '../../support/memory/world.ts';
import { contents, expectSound, writeVolume } from '../../support/memory/truth.ts';

// What Cinder's GPFS driver still does wrong, one test each, by the number in docs/from-cinder.md. The second to
// the fourth need real bytes: test/contract/driver/cinder-bugs.test.ts.

const setup = async (options: Parameters<typeof clusterWithRoot>[0] = {}) => {
  const gpfs = await clusterWithRoot(options);
  const driver = serverOn(gpfs);
  const [store] = await driver.roots.all();
  if (!store) throw new Error('no root');
  return { gpfs, driver, store, ...driver };
};
const sized = (requiredBytes: bigint) => ({ range: { requiredBytes, limitBytes: 0n } });

test('1: snapshots deleted after their volume, oldest first, leave nothing', async () => {
  const { gpfs, volumes, snapshots } = await setup();
  const volume = await volumes.create(spec('v'));
  const cuts = [];
  for (let n = 0; n < 5; n++) cuts.push(await snapshots.create(snap(`s${n}`, volume)));
  await volumes.remove(volume.id);
  for (const { id } of cuts) await snapshots.remove(id);
  await quiet(gpfs);
  expect(dataFiles(gpfs)).toEqual([]);
});

test('5: a name that exists never shows old data, and a create that fails leaves no file', async () => {
  const { gpfs, volumes } = await setup();
  const { id } = await volumes.create(spec('v'));
  writeVolume(gpfs, 'v', 'secret');
  await expect(volumes.create(spec('v', sized(GiB)))).rejects.toMatchObject({
    fault: { kind: 'name-taken' },
  });
  await volumes.remove(id);
  await volumes.create(spec('v', sized(GiB)));
  expect(contents(gpfs)).toEqual({ 'volumes/v': '' });
  const broken = serverOn({ ...gpfs, run: mmFails(gpfs.run, 'mmchattr') }, 'b1');
  const failing = broken.volumes.create(spec('w', { parameters: { pool: 'data' } }));
  await expect(failing).rejects.toThrow(/mmchattr/);
  expect(dataFiles(gpfs)).toHaveLength(1);
});

test('6: snapshots are created and deleted again with success', async () => {
  const { volumes, snapshots } = await setup();
  const volume = await volumes.create(spec('v'));
  const cut = await snapshots.create(snap('s', volume));
  expect(await snapshots.create(snap('s', volume))).toEqual(cut);
  await snapshots.remove(cut.id);
  await snapshots.remove(cut.id);
});

test('7: an image that is not there, or too large, is refused, and the image stays as it was', async () => {
  const { gpfs, driver, store, volumes } = await setup();
  const image = { parameters: { image: 'golden' } };
  await expect(volumes.create(spec('v', image))).rejects.toMatchObject({
    fault: { kind: 'invalid-request' },
    message: expect.stringMatching(
      /"golden", which is no image of root .*there are none/,
    ) as string,
  });
  await importImage(driver.host, store, {
    name: 'golden',
    format: 'raw',
    bytes: GiB,
    place: async (path, bytes) => {
      await store.files.createSparse(path, bytes, 0o640);
      return false;
    },
    sectorBytes: () => Promise.resolve(4096),
  });
  const before = dataFiles(gpfs);
  const small = spec('v', { ...image, ...sized(64n * MiB) });
  await expect(volumes.create(small)).rejects.toMatchObject({
    fault: { kind: 'size-out-of-range' },
  });
  expect(dataFiles(gpfs)).toEqual(before);
  expect((await volumes.create(spec('v', { ...image, ...sized(GiB) }))).bytes).toBe(GiB);
  expectSound(gpfs);
});

test('8: a backup every night leaves no files, gets no deeper, and can be tried again', async () => {
  const { gpfs, driver, volumes, snapshots } = await setup();
  const volume = await volumes.create(spec('v', { parameters: { maxCloneDepth: '2' } }));
  const files: number[] = [];
  for (let night = 0; night < 8; night++) {
    writeVolume(gpfs, 'v', `night ${night}`);
    const cut = await snapshots.create(snap(`backup-${night}`, volume));
    const copy = spec('backup', { source: from('snapshot', cut) });
    const { id } = await volumes.create(copy);
    expect((await volumes.create(copy)).id).toBe(id);
    await volumes.remove(id);
    await snapshots.remove(cut.id);
    gpfs.clock.tick(3_600_000);
    await tend(driver);
    await quiet(gpfs);
    files.push(dataFiles(gpfs).length);
  }
  expect(Math.max(...files)).toBeLessThanOrEqual(3);
  expect(contents(gpfs)).toEqual({ 'volumes/v': 'night 7' });
});

test('9: what is restored from something smaller has the size that was asked for', async () => {
  const { volumes, snapshots } = await setup();
  const small = await volumes.create(spec('v', sized(8n * MiB)));
  const cut = await snapshots.create(snap('s', small));
  const restored = spec('r', { source: from('snapshot', cut), ...sized(GiB) });
  expect((await volumes.create(restored)).bytes).toBe(GiB);
});

test('10: capacity is reported on a release that knows nothing of encryption', async () => {
  const { capacity, readiness } = await setup({ personality: { release: '4.1' } });
  const ask = { capabilities: [block()], parameters: new Map([['pool', 'data']]) };
  expect((await capacity.capacity(ask)).available).toBeGreaterThan(0n);
  expect(await readiness()).toBe('ready');
});

test('11: names with a dash, levels, parents in another directory, and free space are read right', async () => {
  const gpfs = await clusterWithRoot();
  await gpfs.run(['mmcrfileset', 'fs1', 'csi-data-2'], 'write');
  await gpfs.run(['mmlinkfileset', 'fs1', 'csi-data-2', '-J', `${testRoot}/volumes`], 'write');
  await expect(serverOn(gpfs).roots.all()).rejects.toThrow(
    /in fileset csi-data but .* is in csi-data-2/,
  );
  expect(parseRelease('8.03')?.parts).toEqual([8, 3]);
  expect(knowsClones({ kind: 'format', parts: [11, 99] })).toBe(false);
  expect(knowsClones({ kind: 'format', parts: [12, 0] })).toBe(true);
  const { capacity, volumes, snapshots } = await setup({ personality: { filesetQuotaKiB: 1027 } });
  const ask = { capabilities: [block()], parameters: new Map() };
  expect((await capacity.capacity(ask)).available).toBe(1024n * KiB);
  const volume = await volumes.create(spec('v', sized(MiB)));
  const cut = await snapshots.create(snap('s', volume));
  const restored = await volumes.create(spec('r', { source: from('snapshot', cut) }));
  await Promise.all([volumes.remove(volume.id), snapshots.remove(cut.id)]);
  await volumes.remove(restored.id);
});

test('12: clones of one source and its deletion at once do not disturb one another', async () => {
  const { gpfs, driver, volumes } = await setup();
  const other = serverOn(gpfs.server('b1'), 'b1');
  const source = await volumes.create(spec('v'));
  writeVolume(gpfs, 'v', 'data');
  const clones = ['c1', 'c2', 'c3', 'c4'].map((name, n) =>
    (n % 2 === 0 ? driver : other).volumes
      .create(spec(name, { source: from('volume', source) }))
      .then(
        () => name,
        () => undefined,
      ),
  );
  const gone = other.volumes.remove(source.id).then(
    () => true,
    () => false,
  );
  const made = (await Promise.all(clones)).filter((name) => name !== undefined);
  const left = (await gone) ? {} : { 'volumes/v': 'data' };
  await quiet(gpfs);
  const found = contents(gpfs);
  for (const name of made) expect(found[`volumes/${name}`]).toBe('data');
  expect(Object.keys(found)).toHaveLength(made.length + Object.keys(left).length);
  expectSound(gpfs);
});
