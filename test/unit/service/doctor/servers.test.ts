import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { FileKey } from '../../../../src/model/ids.ts';
import { gpfsCommands } from '../../../../src/gpfs/commands.ts';
import { checkRootState } from '../../../../src/service/doctor/root-checks.ts';
import { serverOn, spec, testRoot } from '../../../support/memory/driver.ts';
import { forest, found, removeState, type Forest } from '../../../support/memory/forest.ts';
import { newWorld, quiet } from '../../../support/memory/world.ts';

const checks = ({ gpfs, store }: Pick<Forest, 'gpfs' | 'store'>) =>
  checkRootState({ gpfs: gpfsCommands(gpfs.run), clock: gpfs.clock }, store);

const wrong = async (world: Pick<Forest, 'gpfs' | 'store'>) =>
  (await checks(world)).flatMap(({ status, says }) =>
    status === 'ok' ? [] : [`${status} ${says}`],
  );

const self = {
  machineId: 'machine-a1',
  bootId: 'boot-1',
  instance: 'i',
  version: '9',
  maxVolumes: 1,
};

describe('the state of a root', () => {
  test('that is in order has nothing to say', async () => {
    const world = await forest();
    await world.store.spares.fill();
    expect(await wrong(world)).toEqual([]);
  });

  test('says how many spare files are there, and what to do where there is no space for more', async () => {
    const world = await forest();
    expect((await wrong(world)).join('\n')).toContain(
      'note 0 of 176 are in /gpfs/fs1/csi-data/csi/.gpfs-csi/spare',
    );
    world.gpfs.set({ full: true });
    expect((await wrong(world)).join('\n')).toMatch(
      /warning 0 of 176 are in .*, then a running server makes them again/,
    );
  });

  test('tells a silent server, another version, a fast clock and twins', async () => {
    const world = await forest();
    await world.store.nodes.register({ ...self, node: 'b1' });
    expect((await wrong(world)).join('\n')).toMatch(/note servers of 2 versions are running/);
    world.gpfs.clock.tick(600_000);
    await world.store.nodes.beat('a1');
    expect((await wrong(world)).join('\n')).toMatch(/note node b1 was last seen 10 minutes ago/);
    await world.store.nodes.register({ ...self, node: 'c1', bootId: 'another' });
    expect((await wrong(world)).join('\n')).toMatch(/warning nodes \w+ and c1 have one machine id/);
    world.gpfs.clock.tick(-60_000);
    expect((await wrong(world)).join('\n')).toMatch(/warning the clock of node a1 is 60 s ahead/);
  });

  test('tells directories that are open or missing, and a root of another cluster', async () => {
    const world = await forest();
    await world.gpfs.files.chmod(`${testRoot}/volumes`, 0o777);
    await removeState(world.gpfs, 'attached');
    const attached = `${testRoot}/.gpfs-csi/attached`;
    for (const name of await world.gpfs.files.list(attached))
      await world.gpfs.files.removeDirectory(`${attached}/${name}`);
    await world.gpfs.files.removeDirectory(attached);
    const foreign = { ...world.store, facts: { ...world.store.facts, clusterId: 'other' } };
    const said = (await wrong({ ...world, store: foreign })).join('\n');
    expect(said).toMatch(/warning \S+\/volumes is open to others; chmod it to 0750/);
    expect(said).toMatch(/warning \S+attached is not there/);
    expect(said).toMatch(/failed root.json is of GPFS cluster other, and this is/);
  });

  test('tells a full file system', async () => {
    const world = await forest();
    world.gpfs.set({ full: true });
    expect((await wrong(world)).join('\n')).toMatch(/warning only 0 bytes \(0%\) are free/);
  });
});

describe('what servers leave', () => {
  test('a claim of a server that is gone is reported, one of a living server is not', async () => {
    const { gpfs, driver } = await newWorld();
    const [store] = await driver.roots.all();
    if (!store) throw new Error('the root is not there');
    const b1 = serverOn(gpfs.server('b1'), 'b1');
    await b1.roots.all();
    await quiet(gpfs);
    gpfs.server('b1').crashAt(19, 'after');
    await b1.volumes.create(spec('half')).catch(() => undefined);
    expect((await store.volumes.read('half'))?.value).toMatchObject({ claim: { node: 'b1' } });
    const kinds = async () => (await found({ gpfs, store })).map(({ kind }) => kind);
    expect(await kinds()).not.toContain('dead claim');
    gpfs.clock.tick(600_000);
    expect(await kinds()).toContain('dead claim');
  });

  test('a temporary file is a note once it is old', async () => {
    const world = await forest();
    await world.gpfs.files.createDurable(`${testRoot}/.gpfs-csi/tmp/lone.3-0`, 'half', 0o640);
    expect(await found(world)).toEqual([]);
    world.gpfs.clock.tick(2 * 3_600_000);
    expect((await found(world)).map(({ kind }) => kind)).toEqual(['temporary file']);
  });

  test('a mark on an image that no record knows is reported with its node', async () => {
    const world = await forest();
    const key = basename(world.path('volumes/lone')).replace('lone', 'gone') as FileKey;
    await world.store.marks.set(key, { ...self, node: 'a1' });
    expect(await found(world)).toEqual([
      expect.objectContaining({ kind: 'stale mark', object: `${key} on a1` }),
    ]);
  });
});

describe('a root without its root.json', () => {
  test('gets no new id while there are volumes in it', async () => {
    const world = await forest();
    await world.gpfs.files.unlink(`${testRoot}/.gpfs-csi/root.json`);
    await expect(serverOn(world.gpfs).roots.all()).rejects.toThrow(
      /root\.json is missing, but \S+volumes holds files; restore it/,
    );
  });
});
