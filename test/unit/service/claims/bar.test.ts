import { describe, expect, test } from 'vitest';
import type { Driver } from '../../../../src/service/driver.ts';
import { goneAfterMs } from '../../../../src/store/nodes.ts';
import { layoutOf } from '../../../../src/store/layout.ts';
import {
  dataFiles,
  serverOn,
  snap,
  spec,
  tend,
  testRoot,
  type Cluster,
} from '../../../support/memory/driver.ts';
import { found } from '../../../support/memory/forest.ts';
import { problemsIn } from '../../../support/memory/truth.ts';
import { newWorld, quiet, type World } from '../../../support/memory/world.ts';

interface Stopped extends World {
  readonly id: string;
  readonly b1: Driver;
  /** Lets the server continue, and waits for the end of its work. */
  readonly release: () => Promise<void>;
}

/** A volume of which server b1 takes a snapshot, and stops before its call n. */
async function stoppedAt(n: number): Promise<Stopped> {
  const world = await newWorld();
  const { gpfs, driver } = world;
  const { id } = await driver.volumes.create(spec('v'));
  const b1 = serverOn(gpfs.server('b1'), 'b1');
  await b1.roots.all();
  await quiet(gpfs);
  const go = gpfs.server('b1').stallAt(n);
  const slow = b1.snapshots.create(snap('s', { id })).catch(() => undefined);
  await quiet(gpfs);
  const release = async () => {
    go();
    await slow;
    await quiet(gpfs);
  };
  return { ...world, id, b1, release };
}

/** The edges are made just before the command. */
const isBegun = async (driver: Driver): Promise<boolean> => {
  const [store] = await driver.roots.all();
  const claim = (await store?.volumes.read('v'))?.value.claim;
  return claim?.parent !== undefined && (await store?.edges.children(claim.parent))?.length === 1;
};

/** The first call after the claim and the edges: the command follows. */
async function callBeforeCommand(): Promise<number> {
  for (let n = 1; n < 100; n++) {
    const { driver, release } = await stoppedAt(n);
    if (await isBegun(driver)) return n;
    await release();
  }
  throw new Error('no call is between the claim and the command');
}

const call = await callBeforeCommand();
const stopped = () => stoppedAt(call);

const notes = (gpfs: Cluster): readonly string[] =>
  gpfs.paths().filter((path) => path.includes('/.gpfs-csi/barred/'));

/** Directories with the names of snapshots' files. */
async function directories(gpfs: Cluster): Promise<readonly string[]> {
  const data = `${testRoot}/snapshots`;
  const shards = await gpfs.files.list(data);
  const names = await Promise.all(shards.map((shard) => gpfs.files.list(`${data}/${shard}`)));
  const files = dataFiles(gpfs).map((path) => path.split('/').at(-1));
  return names.flat().filter((name) => !files.includes(name));
}

const expand = ({ driver, id }: { readonly driver: Driver; readonly id: string }) =>
  driver.volumes.expand(id, { requiredBytes: 128n << 20n, limitBytes: 0n }, undefined);

describe('the name of a file that a silent server announced', () => {
  test('is barred when its claim is taken over, and free again when its work has ended', async () => {
    const world = await stopped();
    const { gpfs, driver, release } = world;
    gpfs.clock.tick(goneAfterMs + 1);
    await expand(world);
    await tend(driver);
    expect(await directories(gpfs)).toHaveLength(1);
    const [store] = await driver.roots.all();
    if (!store) throw new Error('the root is not there');
    const [finding] = (await found({ gpfs, store })).filter(({ kind }) => kind === 'barred name');
    expect(finding?.says).toMatch(/a directory keeps node b1 from making s\.1-/);
    await release();
    expect([...notes(gpfs), ...(await directories(gpfs)), ...problemsIn(gpfs)]).toEqual([]);
    await driver.snapshots.create(snap('s', world));
    expect(dataFiles(gpfs)).toHaveLength(2);
  });

  test('is freed when its node has another instance, or is removed by an administrator', async () => {
    for (const removed of [false, true]) {
      const world = await stopped();
      const { gpfs, driver } = world;
      gpfs.clock.tick(goneAfterMs + 1);
      await expand(world);
      await tend(driver);
      expect(notes(gpfs)).toHaveLength(1);
      if (removed) await gpfs.files.unlink(layoutOf(testRoot).node('b1'));
      else await serverOn(gpfs.server('b2'), 'b1').roots.all();
      await tend(driver);
      await quiet(gpfs);
      expect([...notes(gpfs), ...(await directories(gpfs))]).toEqual([]);
    }
  });

  test('leaves nothing, at whichever call the server that bars it dies', async () => {
    for (let n = 1; ; n++) {
      const world = await stopped();
      const { gpfs, b1, release } = world;
      gpfs.clock.tick(goneAfterMs + 1);
      const before = gpfs.calls;
      gpfs.crashAt(n, 'after');
      await Promise.allSettled([expand(world)]);
      const calls = gpfs.calls - before;
      gpfs.heal();
      const again = serverOn(gpfs);
      await again.roots.all();
      await release();
      await again.snapshots.create(snap('s', world));
      for (const server of [b1, again]) await tend(server);
      await quiet(gpfs);
      const left = [...problemsIn(gpfs), ...(await directories(gpfs))];
      expect(left, `call ${n}`).toEqual([]);
      if (n > calls) return;
    }
  });
});
