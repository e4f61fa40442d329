import { describe, expect, test } from 'vitest';
import { isFault } from '../../../src/model/fault.ts';
import { errnoOf } from '../../../src/run/files.ts';
import { clusterWithRoot, serverOn, testRoot, type Cluster } from '../../support/memory/driver.ts';
import { quiet } from '../../support/memory/world.ts';

async function setup() {
  const gpfs = await clusterWithRoot();
  const [store] = await serverOn(gpfs).roots.all();
  if (!store) throw new Error('the root is not there');
  await quiet(gpfs);
  await store.check();
  return { gpfs, files: store.files };
}

type Files = Awaited<ReturnType<typeof setup>>['files'];

const there = `${testRoot}/.gpfs-csi/tmp/there`;
const missing = `${testRoot}/.gpfs-csi/tmp/missing`;
const nowhere = `${testRoot}/.gpfs-csi/missing/new`;

const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => 'done',
    (error: unknown) => (isFault(error, 'unavailable') ? 'unavailable' : errnoOf(error)),
  );

const calls: Readonly<Record<string, (files: Files) => Promise<unknown>>> = {
  read: (files) => files.read(missing),
  stat: (files) => files.stat(`${there}/below a file`),
  list: (files) => files.list(missing),
  unlink: (files) => files.unlink(missing),
  createSparse: (files) => files.createSparse(nowhere, 0n, 0o640),
  'link to': (files) => files.link(there, nowhere),
  'rename from': (files) => files.rename(missing, `${there}2`),
};

/** Calls that check the root first, as they change something. */
const changing = ['unlink', 'createSparse', 'link to', 'rename from'];

describe('what is missing', () => {
  test.each(Object.entries(calls))('%s: costs one look at the root', async (name, call) => {
    const { gpfs, files } = await setup();
    await files.createDurable(there, 'text', 0o640);
    const before = gpfs.calls;
    expect(await codeOf(call(files))).toMatch(/^(?:ENOENT|ENOTDIR)$/);
    expect(gpfs.calls - before).toBe(changing.includes(name) ? 3 : 2);
  });

  test('is not believed where the root was away: the server reads again once the root is back', async () => {
    for (const back of [1, 2, 3, Infinity]) {
      const { gpfs, files } = await setup();
      await files.createDurable(there, 'text', 0o640);
      const said = await awayFor(gpfs, back, () => files.read(there));
      expect(said, `back before call ${back}`).toBe(back <= 2 ? 'done' : 'unavailable');
    }
  });

  test('is not believed of a new file in a directory that is there', async () => {
    const { gpfs, files } = await setup();
    // The check of the root comes first and sees it mounted; then it is away for one call.
    const release = gpfs.stallAt(2);
    const mount = gpfs.stallAt(3);
    const work = codeOf(files.createDurable(there, 'text', 0o640));
    await quiet(gpfs);
    gpfs.set({ mounted: false });
    release();
    await quiet(gpfs);
    gpfs.set({ mounted: true });
    mount();
    expect(await work).toBe('done');
    expect(gpfs.strayPaths()).toEqual([]);
    expect(await files.read(there)).toBe('text');
  });
});

/** Unmounts GPFS before a call is made, and mounts it again after this many calls. */
async function awayFor(
  gpfs: Cluster,
  back: number,
  work: () => Promise<unknown>,
): Promise<string | undefined> {
  const mount = Number.isFinite(back) ? gpfs.stallAt(back + 1) : () => undefined;
  gpfs.set({ mounted: false });
  const outcome = codeOf(work());
  await quiet(gpfs);
  gpfs.set({ mounted: true });
  mount();
  return outcome;
}
