import { expect, test } from 'vitest';
import { migrateVolume } from '../../../../src/service/migrate/migrate.ts';
import { newcomersOf } from '../../../../src/service/node/background/freezer.ts';
import { audit } from '../../../../src/service/doctor/audit.ts';
import { repair } from '../../../../src/service/doctor/repair.ts';
import { gpfsCommands } from '../../../../src/gpfs/commands.ts';
import { goneAfterMs } from '../../../../src/store/nodes.ts';
import type { RootStore } from '../../../../src/store/root.ts';
import {
  from,
  serverOn,
  snap,
  spec,
  testRoot,
  type Cluster,
} from '../../../support/memory/driver.ts';
import type { Driver } from '../../../../src/service/driver.ts';
import { filesIn, other, roots, sweepAll, twoRoots } from '../../../support/memory/two-roots.ts';
import { attach } from '../../../support/memory/world.ts';

const edgesIn = (gpfs: Cluster, root: string): readonly string[] =>
  gpfs
    .paths()
    .filter((path) => /^\/.gpfs-csi\/(?:edges\/.*\/.*\/.|copies\/.)/.test(path.slice(root.length)));

const examiner = (gpfs: Cluster) => ({
  clone: gpfsCommands(gpfs.run).clone,
  clock: { ...gpfs.clock, sleep: () => Promise.resolve() },
  nonce: gpfs.nonce,
});
const findings = async (gpfs: Cluster, store: RootStore) =>
  (await audit(examiner(gpfs), store)).findings.map(({ kind }) => kind);

/** A copy of a snapshot into the other root that stands still in the middle. */
async function stuckCopy(gpfs: Cluster, driver: Driver) {
  const source = await driver.volumes.create(spec('v'));
  const cut = await driver.snapshots.create(snap('s', source));
  const begun = Promise.withResolvers<undefined>();
  const go = Promise.withResolvers<undefined>();
  const copyRange: Cluster['files']['copyRange'] = async (...args) => {
    begun.resolve(undefined);
    await go.promise;
    await gpfs.files.copyRange(...args);
  };
  const view = gpfs.server('b1');
  const slow = serverOn({ ...view, files: { ...view.files, copyRange } }, 'b1', { roots });
  const asked = {
    source: from('snapshot', cut),
    parameters: { root: other, crossRootCopy: 'true' },
  };
  const copying = slow.volumes.create(spec('c', asked));
  copying.catch(() => undefined);
  await begun.promise;
  return {
    source,
    cut,
    view,
    slow,
    copying,
    asked,
    go: () => {
      go.resolve(undefined);
    },
  };
}

test('a repair of the source root keeps what a copy into another root reads, however long that takes', async () => {
  const { gpfs, driver, home } = await twoRoots();
  const { source, cut, slow, copying, go } = await stuckCopy(gpfs, driver);
  gpfs.clock.tick(2 * 3_600_000);
  for (const store of await slow.roots.all()) await store.nodes.beat('b1');
  expect(await findings(gpfs, home)).toEqual(['source of a copy']);
  await repair(
    {
      ...examiner(gpfs),
      minAgeMs: 3_600_000,
      sectorBytes: () => Promise.resolve(4096),
      onRepair: () => undefined,
    },
    home,
  );
  await driver.snapshots.remove(cut.id);
  await driver.volumes.remove(source.id);
  go();
  expect((await copying).id.slice(9)).toBe('c');
  expect(edgesIn(gpfs, testRoot)).toEqual([]);
  expect(filesIn(gpfs, testRoot)).toEqual([]);
});

test('what a copy left in a root that the server which gave it up did not have is swept by one that has both', async () => {
  const { gpfs, driver, home, away } = await twoRoots();
  const { view, cut, source } = await stuckCopy(gpfs, driver);
  view.crashAt(1, 'before');
  await view.files.list(testRoot).catch(() => undefined);
  view.heal();
  const alone = serverOn(view, 'b1', { roots: [other] });
  await alone.roots.all();
  await alone.volumes.remove(`${away.id}.c`);
  await driver.snapshots.remove(cut.id);
  await driver.volumes.remove(source.id);
  expect(await findings(gpfs, home)).toContain('source of a copy');
  expect(filesIn(gpfs, testRoot)).toHaveLength(1);
  await sweepAll(gpfs, driver);
  expect(edgesIn(gpfs, testRoot)).toEqual([]);
  expect(filesIn(gpfs, testRoot)).toEqual([]);
  expect(await findings(gpfs, home)).toEqual([]);
});

test('a copy that another server took back takes its late edge from the root of its source', async () => {
  const { gpfs, driver, home, away } = await twoRoots();
  const { slow, cut, copying, go, asked } = await stuckCopy(gpfs, driver);
  gpfs.clock.tick(goneAfterMs + 1);
  for (const store of await driver.roots.all()) await store.nodes.beat('a1');
  await driver.volumes.create(spec('c', asked));
  await driver.volumes.remove(`${away.id}.c`);
  // The late server makes its edge and the note once more, as if it had slept before that.
  const [late] = await slow.roots.all();
  const key = (await home.snapshots.read('s'))?.value.file?.key;
  if (!late || !key) throw new Error('no source');
  go();
  await expect(copying).rejects.toMatchObject({ fault: { kind: 'busy' } });
  expect(
    edgesIn(gpfs, testRoot).filter(
      (path) => path.includes(`${key}/c.`) || path.includes('/copies/'),
    ),
  ).toEqual([]);
  await driver.snapshots.remove(cut.id);
});

test('the snapshots of a volume that moved are found by its handle, in whichever root they were cut', async () => {
  const { driver, volumes, snapshots } = await twoRoots();
  const { id } = await volumes.create(spec('v'));
  const sources: string[] = [];
  for (const [name, to] of [
    ['s1', other],
    ['s2', testRoot],
    ['s3', ''],
  ] as const) {
    const { sourceVolumeId } = await snapshots.create(snap(name, { id }));
    sources.push(sourceVolumeId);
    if (to !== '') await migrateVolume(driver.host, id, to);
  }
  expect(sources).toEqual([id, id, id]);
  const found = await snapshots.list({ id: '', sourceVolumeId: id }, { max: 0, token: '' });
  expect(found.items.map((each) => each.id.slice(9)).sort()).toEqual(['s1', 's2', 's3']);
  for (const each of found.items) {
    const one = await snapshots.list({ id: each.id, sourceVolumeId: id }, { max: 0, token: '' });
    expect(one.items).toEqual([each]);
  }
});

test('the handle of a volume that moved works for every request', async () => {
  const { driver, volumes, snapshots, attachments } = await twoRoots();
  const { id } = await volumes.create(spec('v'));
  await migrateVolume(driver.host, id, other);
  expect((await volumes.get(id)).id).toBe(id);
  await volumes.modify(id, new Map([['maxCloneDepth', '3']]));
  const grown = 128n << 20n;
  expect(await volumes.expand(id, { requiredBytes: grown, limitBytes: 0n }, undefined)).toBe(grown);
  await attachments.publish(attach(id));
  expect((await volumes.get(id)).publishedNodes).toEqual(['a1']);
  await attachments.unpublish(id, 'a1');
  const cut = await snapshots.create(snap('s', { id }));
  expect(cut.sourceVolumeId).toBe(id);
  const source = from('volume', { id });
  const clone = await volumes.create(
    spec('c', { source, range: { requiredBytes: grown, limitBytes: 0n } }),
  );
  expect(clone.source).toEqual(source);
  await snapshots.remove(cut.id);
  await volumes.remove(clone.id);
  await volumes.remove(id);
  await expect(volumes.get(id)).rejects.toMatchObject({ fault: { kind: 'volume-missing' } });
});

test('a freezer remembers no request that was withdrawn', () => {
  const newcomers = newcomersOf();
  expect([...newcomers(['a', 'b'])]).toEqual(['a', 'b']);
  expect([...newcomers(['b', 'c'])]).toEqual(['c']);
  expect([...newcomers(['a'])]).toEqual(['a']);
});
