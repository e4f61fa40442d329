import { describe, expect, test } from 'vitest';
import { DriverError } from '../../../src/model/fault.ts';
import { openExistingRoot, openRoot } from '../../../src/store/root.ts';
import { simulateGpfs } from '../../../src/simulator/memory/gpfs.ts';
import { textBlock } from '../../../src/simulator/memory/file-system.ts';
import {
  clusterWithRoot,
  serverOn,
  snap,
  spec,
  testRoot,
  type View,
} from '../../support/memory/driver.ts';
import { attach, quiet } from '../../support/memory/world.ts';

const facts = { clusterId: '1', fileSystem: 'fs1', fileset: 'csi-data', owner: 'kube-1' };
const host = (view: View) => ({ ...view, mountType: 'gpfs' });
const page = { max: 0, token: '' };

const kindOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'ok',
    (error: unknown) => (error instanceof DriverError ? error.fault.kind : String(error)),
  );

describe('setting up', () => {
  test('two servers that meet a new root at once agree on it, wherever one of them waits', async () => {
    for (let stalled = 1; stalled <= 12; stalled++) {
      const gpfs = await clusterWithRoot();
      const release = gpfs.stallAt(stalled);
      const slow = openRoot(testRoot, facts, host(gpfs));
      const fast = await openRoot(testRoot, facts, host(gpfs.server('b1')));
      release();
      expect((await slow).id).toBe(fast.id);
      expect((await slow).facts).toEqual(fast.facts);
    }
  });

  test('a server that dies while it sets a root up leaves it to the next one', async () => {
    for (let dies = 1; dies <= 20; dies++)
      for (const when of ['before', 'after'] as const) {
        const gpfs = await clusterWithRoot();
        gpfs.crashAt(dies, when);
        await Promise.allSettled([openRoot(testRoot, facts, host(gpfs))]);
        const store = await openRoot(testRoot, facts, host(gpfs.server('b1')));
        await store.check();
        expect(await store.files.list(testRoot)).toContain('volumes');
      }
  });

  test.each([
    ['owner', { owner: 'kube-2' }, 'give each Kubernetes cluster a root of its own'],
    ['clusterId', { clusterId: '2' }, 'was it copied from somewhere else'],
    ['fileset', { fileset: 'other' }, 'was it copied from somewhere else'],
  ])('a root of another %s is refused and stays as it is', async (field, other, why) => {
    const gpfs = await clusterWithRoot();
    await openRoot(testRoot, facts, host(gpfs));
    const before = gpfs.paths();
    const work = openRoot(testRoot, { ...facts, ...other }, host(gpfs.server('b1')));
    await expect(work).rejects.toThrow(`${field} "${facts[field as keyof typeof facts]}"`);
    await expect(work).rejects.toThrow(why);
    expect(await kindOf(work)).toBe('misconfigured');
    expect(gpfs.paths()).toEqual(before);
  });

  test('who only looks makes nothing: neither a root, nor a directory, nor a node', async () => {
    const gpfs = await clusterWithRoot();
    const look = (owner?: string) => openExistingRoot(testRoot, owner, host(gpfs.server('b1')));
    expect(await kindOf(look())).toBe('misconfigured');
    await expect(look()).rejects.toThrow(`${testRoot} is no root of the driver`);
    const made = await openRoot(testRoot, facts, host(gpfs));
    const before = gpfs.paths();
    expect((await look()).facts).toEqual(made.facts);
    expect((await look('kube-1')).id).toBe(made.id);
    await expect(look('kube-2')).rejects.toThrow('give each Kubernetes cluster a root of its own');
    gpfs.set({ mounted: false });
    expect(await kindOf(look())).toBe('unavailable');
    gpfs.set({ mounted: true });
    expect(gpfs.paths()).toEqual(before);
    expect(await made.nodes.all()).toEqual([]);
  });

  test('a root.json that cannot be read is reported and not replaced', async () => {
    const gpfs = await clusterWithRoot();
    await gpfs.files.makeDirectory(`${testRoot}/.gpfs-csi`, 0o750);
    const path = `${testRoot}/.gpfs-csi/root.json`;
    await gpfs.files.createDurable(path, '{"format":9}', 0o640);
    expect(await kindOf(openRoot(testRoot, facts, host(gpfs)))).toBe('unreadable-record');
    expect(gpfs.readBlock(path, textBlock)).toBe('{"format":9}');
  });
});

describe('a root that goes away', () => {
  const setup = async () => {
    const gpfs = await clusterWithRoot();
    const driver = serverOn(gpfs);
    const volume = await driver.volumes.create(spec('v'));
    const cut = await driver.snapshots.create(snap('s', volume));
    await quiet(gpfs);
    return { gpfs, driver, volume, cut };
  };

  test.each([
    ['unmounted', { mounted: false }],
    ['down', { daemon: 'down' as const }],
  ])('%s: everything is unavailable, capacity is 0, and nothing is written', async (_, change) => {
    const { gpfs, driver, volume, cut } = await setup();
    const before = gpfs.paths();
    gpfs.set(change);
    const { volumes, snapshots, attachments, capacity } = driver;
    const range = { requiredBytes: 1n << 40n, limitBytes: 0n };
    const requests = {
      create: volumes.create(spec('w')),
      again: volumes.create(spec('v')),
      remove: volumes.remove(volume.id),
      get: volumes.get(volume.id),
      list: volumes.list(page),
      expand: volumes.expand(volume.id, range, undefined),
      cut: snapshots.create(snap('t', volume)),
      uncut: snapshots.remove(cut.id),
      snapshot: snapshots.get(cut.id),
      snapshots: snapshots.list({ id: '', sourceVolumeId: '' }, page),
      publish: attachments.publish(attach(volume.id)),
      unpublish: attachments.unpublish(volume.id, ''),
    };
    for (const [name, work] of Object.entries(requests))
      expect([name, await kindOf(work)]).toEqual([name, 'unavailable']);
    const room = await capacity.capacity({ capabilities: [], parameters: new Map() });
    expect(room.available).toBe(0n);
    expect(await driver.readiness()).toBe('starting');
    expect(gpfs.strayPaths()).toEqual([]);
    expect(gpfs.paths()).toEqual(before);
  });

  test('mounted again it is found again', async () => {
    const { gpfs, driver, volume } = await setup();
    gpfs.set({ mounted: false });
    expect(await kindOf(driver.volumes.get(volume.id))).toBe('unavailable');
    gpfs.set({ mounted: true });
    gpfs.clock.tick(6_000);
    expect(await driver.volumes.get(volume.id)).toEqual(volume);
    expect(await driver.readiness()).toBe('ready');
  });

  test('at any call of a creation: nothing is written beside it, and the retry makes one file', async () => {
    const count = async () => {
      const { gpfs, driver } = await setup();
      const before = gpfs.calls;
      await driver.volumes.create(spec('w'));
      return gpfs.calls - before;
    };
    const calls = await count();
    for (let n = 1; n <= calls; n++) {
      const { gpfs, driver } = await setup();
      const release = gpfs.stallAt(n);
      const work = kindOf(driver.volumes.create(spec('w')));
      await quiet(gpfs);
      gpfs.set({ mounted: false });
      release();
      await work;
      await quiet(gpfs);
      expect(gpfs.strayPaths()).toEqual([]);
      gpfs.set({ mounted: true });
      gpfs.clock.tick(6_000);
      await driver.volumes.create(spec('w'));
      expect(gpfs.paths().filter((path) => /\/volumes\/...\/w\.[^/]*-/.test(path))).toHaveLength(1);
    }
  });

  test('an ordinary directory in its place is not taken for it', async () => {
    const gpfs = simulateGpfs({ personality: { mounted: false } });
    expect(await kindOf(openRoot(gpfs.mountPoint, facts, host(gpfs)))).toBe('unavailable');
    expect(gpfs.strayPaths()).toEqual([]);
  });
});

test('an id of a root that is not configured here is not taken for a missing one', async () => {
  const gpfs = await clusterWithRoot();
  const { volumes, snapshots } = serverOn(gpfs);
  expect(await kindOf(volumes.remove('00000000.v'))).toBe('unavailable');
  expect(await kindOf(snapshots.remove('00000000.v'))).toBe('unavailable');
  for (const id of [
    '',
    'v',
    '../../etc/passwd',
    '00000000.',
    '00000000.a/b',
    `00000000.${'x'.repeat(99)}`,
  ]) {
    expect(await kindOf(volumes.remove(id))).toBe('ok');
    expect(await kindOf(snapshots.remove(id))).toBe('ok');
    expect(await kindOf(volumes.get(id))).toBe('volume-missing');
  }
});

describe('a record that cannot be read', () => {
  test('fails what concerns it, stays as it is, and the others go on working', async () => {
    const gpfs = await clusterWithRoot();
    const driver = serverOn(gpfs);
    const [{ id }, other] = [
      await driver.volumes.create(spec('v')),
      await driver.volumes.create(spec('w')),
    ];
    const path = gpfs.paths().find((each) => /records\/volumes\/...\/v\.\d+$/.test(each)) ?? '';
    gpfs.write(path, textBlock, '{"format":1,"id":"v"');
    for (const work of [
      driver.volumes.create(spec('v')),
      driver.volumes.remove(id),
      driver.attachments.publish(attach(id)),
      driver.snapshots.create(snap('s', { id })),
    ])
      expect(await kindOf(work)).toBe('unreadable-record');
    await expect(driver.volumes.get(id)).rejects.toThrow(path);
    expect(gpfs.readBlock(path, textBlock)).toBe('{"format":1,"id":"v"');
    expect((await driver.volumes.list(page)).items).toEqual([other]);
    await driver.snapshots.create(snap('s', other));
    await driver.volumes.remove(other.id);
  });
});
