import { expect, test } from 'vitest';
import { goneAfterMs } from '../../../src/store/nodes.ts';
import type { Driver } from '../../../src/service/driver.ts';
import { sweepMs, sweepRoot } from '../../../src/service/maintenance.ts';
import { dataFiles, serverOn, spec, testRoot, type Cluster } from '../../support/memory/driver.ts';
import { found } from '../../support/memory/forest.ts';
import { expectSound, recordsIn } from '../../support/memory/truth.ts';
import { newWorld, quiet } from '../../support/memory/world.ts';

async function sweep(gpfs: Cluster, driver: Driver): Promise<void> {
  for (const store of await driver.roots.all()) {
    await store.nodes.beat(driver.host.self.node);
    await sweepRoot(driver.host, store);
  }
  await quiet(gpfs);
}

/** A world in which server b1 died in an operation at the first call after which `isLeft` holds. */
async function abandonedBy(
  act: (b1: Driver) => Promise<unknown>,
  isLeft: (gpfs: Cluster) => boolean,
) {
  for (let n = 1; n < 100; n++) {
    const world = await newWorld();
    const { gpfs, driver } = world;
    await driver.volumes.create(spec('v'));
    const [store] = await driver.roots.all();
    const b1 = serverOn(gpfs.server('b1'), 'b1');
    await b1.roots.all();
    await quiet(gpfs);
    gpfs.server('b1').crashAt(n, 'after');
    await Promise.allSettled([act(b1)]);
    await quiet(gpfs);
    if (store && isLeft(gpfs)) return { ...world, store };
  }
  throw new Error('no call leaves that');
}

const claimed = (gpfs: Cluster): boolean =>
  recordsIn(gpfs, 'volumes').some(({ claim }) => claim !== null);

const images = (gpfs: Cluster): readonly string[] =>
  dataFiles(gpfs).filter((path) => path.includes('/half.'));

/** A volume whose creation stopped before its last write, by a server that does not come back. */
const halfCreated = () =>
  abandonedBy(
    (b1) => b1.volumes.create(spec('half')),
    (gpfs) => images(gpfs).length > 0 && claimed(gpfs),
  );

test('doctor lists an abandoned creation with its file, and a sweep ends it after an hour, not before', async () => {
  const { gpfs, driver, store } = await halfCreated();
  const [image = ''] = images(gpfs);
  gpfs.clock.tick(goneAfterMs + 1);
  await sweep(gpfs, driver);
  expect(images(gpfs)).toEqual([image]);
  const pending = (await found({ gpfs, store })).find(({ kind }) => kind === 'dead claim');
  expect(pending?.says).toBe(
    `volume half is claimed by node b1 (create), which is silent, ${testRoot}/${image} is there`,
  );
  expect(pending?.remedy).toContain('at the first sweep after an hour');
  gpfs.clock.tick(sweepMs);
  await sweep(gpfs, driver);
  expect(images(gpfs)).toEqual([]);
  // The server could still come back to it.
  expect((await found({ gpfs, store })).map(({ kind }) => kind)).toEqual(['barred name']);
  await comeBack(gpfs);
  expect(await found({ gpfs, store })).toEqual([]);
  const { id } = await driver.volumes.create(spec('half'));
  expect((await driver.volumes.get(id)).bytes).toBe(64n << 20n);
  expectSound(gpfs);
});

test('a caller that comes back just when a sweep ends its creation gets a whole volume', async () => {
  const calls = await callsOfSweep();
  for (let n = 1; n <= calls; n += 23) {
    const { gpfs, driver } = await halfCreated();
    const c1 = serverOn(gpfs.server('c1'), 'c1');
    await c1.roots.all();
    gpfs.clock.tick(sweepMs);
    const release = gpfs.stallAt(n, 'after');
    const sweeping = sweep(gpfs, driver).catch(String);
    await quiet(gpfs);
    const create = () => c1.volumes.create(spec('half'));
    await create().catch(() => undefined);
    release();
    await sweeping;
    const { id } = await create();
    expect((await c1.volumes.get(id)).id, `stalled at call ${n}`).toBe(id);
    await comeBack(gpfs);
    expectSound(gpfs);
  }
});

/** The node of the server that died gets another one, which says that nothing of the first is left. */
async function comeBack(gpfs: Cluster): Promise<void> {
  gpfs.server('b1').heal();
  await serverOn(gpfs.server('b1'), 'b1').roots.all();
  await quiet(gpfs);
}

async function callsOfSweep(): Promise<number> {
  const { gpfs, driver } = await halfCreated();
  gpfs.clock.tick(sweepMs);
  const before = gpfs.calls;
  await sweep(gpfs, driver);
  return gpfs.calls - before;
}

test('a creation whose image was written to long after is left: its record is an older copy', async () => {
  const { gpfs, driver } = await halfCreated();
  const [image = ''] = images(gpfs);
  gpfs.clock.tick(sweepMs);
  gpfs.write(`${testRoot}/${image}`, 0, 'data of a pod');
  gpfs.clock.tick(sweepMs);
  await sweep(gpfs, driver);
  expect(images(gpfs)).toEqual([image]);
  expect(gpfs.readBlock(`${testRoot}/${image}`, 0)).toBe('data of a pod');
});

test('an expansion of a silent server stays, and ends once its node is known to be gone', async () => {
  const range = { requiredBytes: 128n << 20n, limitBytes: 0n };
  const { gpfs, driver, store } = await abandonedBy(
    async (b1) => b1.volumes.expand(`${(await b1.roots.all())[0]?.id ?? ''}.v`, range, undefined),
    claimed,
  );
  gpfs.clock.tick(sweepMs);
  await sweep(gpfs, driver);
  expect(claimed(gpfs)).toBe(true);
  const pending = (await found({ gpfs, store })).find(({ kind }) => kind === 'dead claim');
  expect(pending?.remedy).toMatch(/restart the driver on b1, or remove its file in nodes/);
  await gpfs.files.unlink(store.layout.node('b1'));
  gpfs.clock.tick(sweepMs);
  await sweep(gpfs, driver);
  expect(claimed(gpfs)).toBe(false);
});
