import { describe, expect, test } from 'vitest';
import { GiB, MiB } from '../../../../src/model/bytes.ts';
import { errnoError, type Range } from '../../../../src/run/files.ts';
import {
  clusterWithRoot,
  dataFiles,
  from,
  serverOn,
  snap,
  spec,
  testRoot,
} from '../../../support/memory/driver.ts';
import { quiet } from '../../../support/memory/world.ts';
import { contents, expectSound, recordsIn, writeVolume } from '../../../support/memory/truth.ts';

const otherRoot = `${testRoot}-2`;
const size = (requiredBytes: bigint) => ({ range: { requiredBytes, limitBytes: 0n } });
const thick = { parameters: { provisioning: 'thick' } };

const world = async () => {
  const gpfs = await clusterWithRoot();
  await gpfs.files.makeDirectory(otherRoot, 0o750);
  const allocated: Range[] = [];
  const allocate = (_: string, range: Range) => Promise.resolve(allocated.push(range) > 0);
  const roots = [testRoot, otherRoot];
  return { gpfs, allocated, allocate, roots, driver: serverOn(gpfs, 'a1', { roots, allocate }) };
};

describe('a thick volume', () => {
  test('has all its blocks before it is ready, in parts, and no process but those', async () => {
    const { gpfs, driver, allocated } = await world();
    await driver.roots.all();
    gpfs.resetCounts();
    await driver.volumes.create(spec('v', { ...thick, ...size(600n * GiB) }));
    expect(allocated.map(({ offset, length }) => [offset / GiB, length / GiB])).toEqual([
      [0n, 256n],
      [256n, 256n],
      [512n, 88n],
    ]);
    expect([...gpfs.counts.commands]).toEqual([]);
    expect(gpfs.counts.files.get('writeZeros')).toBeUndefined();
  });

  test('is written with zeros where blocks cannot be allocated otherwise', async () => {
    const { gpfs } = await world();
    const driver = serverOn(gpfs, 'a1', { allocate: () => Promise.resolve(false) });
    await driver.volumes.create(spec('v', { ...thick, ...size(3n * GiB) }));
    expect(gpfs.counts.files.get('writeZeros')).toBe(3);
  });

  test('without room for all of it is not made at all', async () => {
    const { gpfs, roots } = await world();
    const driver = serverOn(gpfs, 'a1', { roots });
    await driver.roots.all();
    const before = gpfs.paths().filter((path) => !path.includes('/records/'));
    const full = () => Promise.reject(errnoError('ENOSPC', 'fallocate', 'v'));
    const files = { ...gpfs.files, writeZeros: full };
    const other = serverOn({ ...gpfs, files }, 'b1', { roots });
    await expect(other.volumes.create(spec('v', thick))).rejects.toMatchObject({
      fault: { kind: 'no-space' },
    });
    const after = gpfs.paths().filter((path) => !/\/(?:records|nodes)\//.test(path));
    expect(after).toEqual(before.filter((path) => !path.includes('/nodes/')));
    expectSound(gpfs);
  });

  test('of a source is a copy: nothing reads through anything, and the source can go', async () => {
    const { gpfs, driver } = await world();
    const source = await driver.volumes.create(spec('v'));
    writeVolume(gpfs, 'v', 'data');
    const cut = await driver.snapshots.create(snap('s', source));
    gpfs.resetCounts();
    const asked = { ...thick, source: from('snapshot', cut) };
    const made = await driver.volumes.create(spec('c', asked));
    expect([...gpfs.counts.commands]).toEqual([]);
    expect(made).toMatchObject({ context: {}, source: { kind: 'snapshot', id: cut.id } });
    expect(contents(gpfs)).toMatchObject({ 'volumes/c': 'data' });
    await driver.volumes.remove(source.id);
    await driver.snapshots.remove(cut.id);
    expect(contents(gpfs)).toEqual({ 'volumes/c': 'data' });
    expectSound(gpfs);
  });
});

describe('a thick volume that grows', () => {
  const grown = { requiredBytes: 3n * GiB, limitBytes: 0n };

  test('has the blocks of what is added before it is larger', async () => {
    const { gpfs, driver, allocated } = await world();
    const { id } = await driver.volumes.create(spec('v', { ...thick, ...size(GiB) }));
    await driver.roots.all();
    allocated.length = 0;
    gpfs.resetCounts();
    expect(await driver.volumes.expand(id, grown, undefined)).toBe(3n * GiB);
    expect(allocated).toEqual([{ offset: GiB, length: 2n * GiB }]);
    expect([...gpfs.counts.commands]).toEqual([]);
    const thin = await driver.volumes.create(spec('w', size(GiB)));
    allocated.length = 0;
    await driver.volumes.expand(thin.id, grown, undefined);
    expect(allocated).toEqual([]);
  });

  test('is written with zeros from where its file ends, never over what is there', async () => {
    const { gpfs, roots } = await world();
    const zeros: Range[] = [];
    const files: typeof gpfs.files = {
      ...gpfs.files,
      writeZeros: (path, range, may) => {
        zeros.push(range);
        return gpfs.files.writeZeros(path, range, may);
      },
    };
    const driver = serverOn({ ...gpfs, files }, 'a1', { roots });
    const { id } = await driver.volumes.create(spec('v', { ...thick, ...size(GiB) }));
    const path = `${testRoot}/${dataFiles(gpfs)[0] ?? ''}`;
    // An earlier try came so far, and a node that attached the device may have written there since.
    await gpfs.files.grow(path, 2n * GiB);
    gpfs.write(path, Number(GiB / 4096n), 'theirs');
    zeros.length = 0;
    expect(await driver.volumes.expand(id, grown, undefined)).toBe(3n * GiB);
    expect(zeros).toEqual([{ offset: 2n * GiB, length: GiB }]);
    expect(gpfs.readBlock(path, Number(GiB / 4096n))).toBe('theirs');
  });

  test('without room for that stays as it is, and says so', async () => {
    const { gpfs, roots } = await world();
    const full = () => Promise.reject(errnoError('ENOSPC', 'write', 'v'));
    const driver = serverOn(gpfs, 'a1', { roots });
    const { id } = await driver.volumes.create(spec('v', { ...thick, ...size(GiB) }));
    const files = { ...gpfs.files, writeZeros: full };
    const other = serverOn({ ...gpfs.server('b1'), files }, 'b1', { roots });
    await expect(other.volumes.expand(id, grown, undefined)).rejects.toMatchObject({
      fault: { kind: 'no-space' },
    });
    expect(await driver.volumes.get(id)).toMatchObject({ bytes: GiB });
    const more = { requiredBytes: 2n ** 45n, limitBytes: 0n };
    await expect(driver.volumes.expand(id, more, undefined)).rejects.toThrow(/no room for all/);
    expect(await driver.volumes.expand(id, grown, undefined)).toBe(3n * GiB);
    expectSound(gpfs);
  });
});

describe('while it is filled', () => {
  test('a request gets to know how far that is, here and elsewhere, and it goes on by itself', async () => {
    const { gpfs, roots } = await world();
    let go = (): void => undefined;
    const first = new Promise<boolean>((resolve) => {
      go = () => {
        resolve(true);
      };
    });
    const parts: Range[] = [];
    const allocate = (_: string, range: Range) =>
      parts.push(range) === 2 ? first : Promise.resolve(true);
    const driver = serverOn(gpfs, 'a1', { roots, allocate, patienceMs: 1000 });
    await driver.roots.all();
    const wanted = spec('v', { ...thick, ...size(512n * GiB) });
    await expect(driver.volumes.create(wanted)).rejects.toThrow(
      /volume v is being filled by node a1.*it goes on, ask again/,
    );
    await expect.poll(() => parts.length).toBe(2);
    const other = serverOn(gpfs.server('b1'), 'b1', { roots });
    for (const { volumes } of [driver, other])
      await expect(volumes.create(wanted)).rejects.toMatchObject({
        fault: { kind: 'busy' },
        message: expect.stringMatching(/node a1 .*create: 256 GiB allocated/) as string,
      });
    go();
    await quiet(gpfs);
    expect((await driver.volumes.create(wanted)).bytes).toBe(512n * GiB);
    expect(parts).toHaveLength(2);
    expectSound(gpfs);
  });

  test.each([1, 2])(
    'a crash in part %i: the next server begins a new file, and the old one is gone',
    async (part) => {
      const { gpfs, roots, allocate, allocated } = await world();
      const view = gpfs.server('b1');
      const parts: Range[] = [];
      const stuck = (_: string, range: Range) =>
        parts.push(range) > part ? new Promise<never>(() => undefined) : Promise.resolve(true);
      const driver = serverOn(view, 'b1', { roots, allocate: stuck });
      const wanted = spec('v', { ...thick, ...size(700n * GiB) });
      driver.volumes.create(wanted).catch(() => undefined);
      await expect.poll(() => parts.length).toBe(part + 1);
      const image = JSON.stringify(recordsIn(gpfs, 'volumes'));
      view.crashAt(1, 'before');
      await view.files.list(testRoot).catch(() => undefined);
      view.heal();
      const again = serverOn(view, 'b1', { roots, allocate });
      await again.roots.all();
      const key = String(/"image":"([^"]+)"/.exec(image)?.[1]);
      await again.volumes.create(wanted);
      expect(allocated[0]?.offset).toBe(0n);
      expect(dataFiles(gpfs)).toHaveLength(1);
      expect(dataFiles(gpfs)[0]).not.toContain(key);
      expectSound(gpfs);
    },
  );

  test('a source that is deleted stays until the copy is made', async () => {
    const { gpfs, roots } = await world();
    const driver = serverOn(gpfs, 'a1', { roots });
    const source = await driver.volumes.create(spec('v'));
    writeVolume(gpfs, 'v', 'data');
    const cut = await driver.snapshots.create(snap('s', source));
    const release = stallCopy(gpfs);
    const slow = serverOn({ ...gpfs, files: release.files }, 'b1', { roots });
    const asked = { source: from('snapshot', cut), parameters: { provisioning: 'thick' } };
    const copying = slow.volumes.create(spec('c', asked));
    await expect.poll(release.begun).toBe(true);
    await driver.snapshots.remove(cut.id);
    await driver.volumes.remove(source.id);
    release.go();
    await copying;
    await quiet(gpfs);
    expect(contents(gpfs)).toEqual({ 'volumes/c': 'data' });
    expectSound(gpfs);
  });
});

describe('a source in another root', () => {
  const elsewhere = (parameters: Readonly<Record<string, string>>) => ({
    parameters: { root: otherRoot, ...parameters },
  });

  test('is refused, and copied where the class says so', async () => {
    const { gpfs, driver } = await world();
    const source = await driver.volumes.create(spec('v'));
    writeVolume(gpfs, 'v', 'data');
    const asked = { source: from('volume', source) };
    const refused = driver.volumes.create(spec('c', { ...asked, ...elsewhere({}) }));
    await expect(refused).rejects.toThrow(/crossRootCopy true copies instead/);
    const wanted = spec('c', { ...asked, ...elsewhere({ crossRootCopy: 'true' }) });
    const made = await driver.volumes.create(wanted);
    expect(made.id.slice(0, 8)).not.toBe(source.id.slice(0, 8));
    expect(await driver.volumes.create(wanted)).toEqual(made);
    const files = gpfs.paths().filter((path) => path.startsWith(`${otherRoot}/volumes/`));
    expect(files.map((path) => gpfs.readBlock(path, 0))).toEqual(['data']);
    await driver.volumes.remove(source.id);
    expectSound(gpfs);
    expect(gpfs.readBlock(files[0] ?? '', 0)).toBe('data');
  });

  test('that is not configured any more does not keep an unfinished copy from being deleted', async () => {
    const { gpfs, roots } = await world();
    const view = gpfs.server('b1');
    const release = stallCopy(gpfs);
    const driver = serverOn({ ...view, files: release.filesOf(view.files) }, 'b1', { roots });
    const source = await driver.volumes.create(spec('v'));
    writeVolume(gpfs, 'v', 'data');
    const asked = { source: from('volume', source), ...elsewhere({ crossRootCopy: 'true' }) };
    driver.volumes.create(spec('c', asked)).catch(() => undefined);
    await expect.poll(release.begun).toBe(true);
    view.crashAt(1, 'before');
    await view.files.list(testRoot).catch(() => undefined);
    view.heal();
    const alone = serverOn(view, 'b1', { roots: [otherRoot] });
    const [store] = await alone.roots.all();
    if (!store) throw new Error('no root');
    expect((await store.volumes.read('c'))?.value.claim?.fill?.from?.root).toBe(
      source.id.slice(0, 8),
    );
    await alone.volumes.remove(`${store.id}.c`);
    expect((await store.volumes.read('c'))?.value).toMatchObject({ state: 'deleted', claim: null });
    expect(gpfs.paths().filter((path) => path.startsWith(`${otherRoot}/volumes/`))).toEqual([]);
    expect(contents(gpfs)).toEqual({ 'volumes/v': 'data' });
  });
});

type Cluster = Awaited<ReturnType<typeof clusterWithRoot>>;

/** Files whose first copy waits. */
function stallCopy(gpfs: Cluster) {
  let go = (): void => undefined;
  let begun = false;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const copyRange: Cluster['files']['copyRange'] = async (...args) => {
    begun = true;
    await gate;
    await gpfs.files.copyRange(...args);
  };
  const filesOf = (files: Cluster['files']) => ({ ...files, copyRange });
  return {
    filesOf,
    files: filesOf(gpfs.files),
    begun: () => begun,
    go: () => {
      go();
    },
  };
}

test('sizes are those asked for', async () => {
  const { driver } = await world();
  expect((await driver.volumes.create(spec('v', thick))).bytes).toBe(64n * MiB);
});
