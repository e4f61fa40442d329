import { expect, test } from 'vitest';
import { modifyVolume } from '../../../../src/service/volumes/modify.ts';
import { goneAfterMs } from '../../../../src/store/nodes.ts';
import {
  block,
  clusterWithRoot,
  dataFiles,
  from,
  serverOn,
  spec,
  testRoot,
  type Cluster,
} from '../../../support/memory/driver.ts';
import { mmFails } from '../../../support/memory/breaking.ts';
import { attach } from '../../../support/memory/world.ts';

const setup = async () => {
  const gpfs = await clusterWithRoot();
  const driver = serverOn(gpfs);
  const [store] = await driver.roots.all();
  if (!store) throw new Error('no root');
  gpfs.resetCounts();
  const record = async (id: string) => {
    const held = await store.volumes.read(id.slice(id.indexOf('.') + 1));
    if (!held) throw new Error(`no record of ${id}`);
    return held.value;
  };
  return { gpfs, driver, store, record, ...driver };
};

const asks = (values: Readonly<Record<string, string>>) => new Map(Object.entries(values));

const shownOf = (gpfs: Cluster, name: string): Promise<string> => {
  const file = dataFiles(gpfs).find(
    (path) => path.startsWith('volumes/') && path.includes(`/${name}.`),
  );
  return gpfs.run(['mmlsattr', '-L', `${testRoot}/${file ?? ''}`], 'read');
};

test('pool and copies change in one command, and again in none', async () => {
  const { gpfs, volumes, record } = await setup();
  const { id } = await volumes.create(spec('v', { parameters: { pool: 'system' } }));
  const before = record(id);
  const change = asks({ pool: 'data', dataReplicas: '2', metadataReplicas: '2' });
  await volumes.modify(id, asks({ pool: 'system' }));
  await volumes.modify(id, change);
  gpfs.resetCounts();
  await volumes.modify(id, asks({ pool: 'system', dataReplicas: '1' }));
  expect([...gpfs.counts.commands]).toEqual([['mmchattr', 1]]);
  await volumes.modify(id, change);
  await volumes.modify(id, change);
  expect([...gpfs.counts.commands]).toEqual([['mmchattr', 2]]);
  expect(await shownOf(gpfs, 'v')).toMatch(/data replication: *2 max 2[^]*pool name: *data/);
  expect(await record(id)).toMatchObject({
    attributes: { pool: 'data', dataReplicas: 2, metadataReplicas: 2 },
    retype: null,
    asked: (await before).asked,
  });
});

test('options change in none, and keys that are absent stay as they are', async () => {
  const { gpfs, volumes, record } = await setup();
  const parameters = { maxCloneDepth: '8', discard: 'on', fsType: 'xfs' };
  const { id } = await volumes.create(spec('v', { parameters }));
  gpfs.resetCounts();
  await volumes.modify(id, asks({ maxCloneDepth: '3', freeze: 'never', trim: 'weekly' }));
  expect([...gpfs.counts.commands]).toEqual([]);
  expect((await record(id)).options).toEqual({
    maxCloneDepth: 3,
    discard: 'on',
    fsType: 'xfs',
    freeze: 'never',
    trim: 'weekly',
  });
});

test.each([
  [{ root: '/gpfs/fs1' }, /unknown key "root"; known are pool, dataReplicas, .*freeze/],
  [{ pool: 'data', XXX_FakeKey: 'x' }, /unknown key "XXX_FakeKey"/],
  [{ pool: 'data', dataReplicas: '9' }, /key "dataReplicas" must be 1, 2 or 3, not "9"/],
  [{ pool: 'nvme' }, /key "pool" names "nvme".*it has system, data/],
  [{ dataReplicas: '2' }, /2 is larger than 1/],
  [{ pool: 'data', metadataReplicas: '3' }, /allowed are 1 to 2/],
  [{ trim: 'hourly' }, /key "trim" must be auto, daily, weekly, monthly or never, not "hourly"/],
  [{ trim: 'weekly' }, /key "trim" must be auto or never while "discard" is off/],
  [{ discard: 'on' }, /"discard" must be off for this volume: it is thick/],
])('%j is refused, and nothing of it is done', async (wanted, words) => {
  const { gpfs, volumes, record } = await setup();
  const parameters = { provisioning: 'thick', metadataReplicas: '1' };
  const { id } = await volumes.create(spec('v', { parameters }));
  const before = await record(id);
  gpfs.resetCounts();
  const refused = volumes.modify(id, asks(wanted));
  await expect(refused).rejects.toThrow(words);
  await expect(refused).rejects.toMatchObject({
    fault: { kind: 'invalid-request', field: 'mutable_parameters' },
  });
  expect(await record(id)).toEqual(before);
  expect(gpfs.counts.commands.get('mmchattr')).toBeUndefined();
});

test('a schedule of trims and what it stands on change together or not at all, again and anywhere', async () => {
  const { gpfs, volumes, record } = await setup();
  const { id } = await volumes.create(spec('v', { parameters: { discard: 'off' } }));
  await expect(volumes.modify(id, asks({ trim: 'daily' }))).rejects.toThrow(/change both/);
  expect((await record(id)).options).toEqual({ discard: 'off' });
  const both = asks({ trim: 'daily', discard: 'auto' });
  for (const server of ['b1', 'b2']) {
    await serverOn(gpfs.server(server), server).volumes.modify(id, both);
    expect((await record(id)).options).toEqual({ discard: 'auto', trim: 'daily' });
  }
  await expect(volumes.modify(id, asks({ discard: 'off' }))).rejects.toThrow(/would be daily/);
});

test('a volume that is not there is not found', async () => {
  const { volumes } = await setup();
  await expect(volumes.modify('unknown', asks({ pool: 'data' }))).rejects.toMatchObject({
    fault: { kind: 'volume-missing' },
  });
});

test('a command that fails leaves the record as it was, for the next try', async () => {
  const { gpfs, volumes, record } = await setup();
  const { id } = await volumes.create(spec('v'));
  const before = await record(id);
  const broken = serverOn({ ...gpfs, run: mmFails(gpfs.run, 'mmchattr') }, 'b1');
  await expect(broken.volumes.modify(id, asks({ pool: 'data' }))).rejects.toThrow(/mmchattr/);
  const { history, ...after } = await record(id);
  expect(after).toEqual({ ...before, history: undefined });
  expect(history?.at(-1)).toMatchObject({ what: 'modify', outcome: 'failed', node: 'b1' });
  await volumes.modify(id, asks({ pool: 'data' }));
  expect(await shownOf(gpfs, 'v')).toMatch(/pool name: *data/);
});

test('while blocks move the volume is used, a second change waits, and the first one is reported', async () => {
  const { gpfs, volumes, attachments, snapshots, record } = await setup();
  const { id } = await volumes.create(spec('v'));
  await volumes.modify(id, asks({ pool: 'system' }));
  gpfs.set({ hang: ['mmchattr'] });
  const never = volumes.modify(id, asks({ pool: 'data' }));
  never.catch(() => undefined);
  await expect.poll(async () => (await record(id)).retype?.op).toBe('modify');
  await attachments.publish(attach(id));
  const range = { requiredBytes: 128n << 20n, limitBytes: 0n };
  await volumes.expand(id, range, undefined);
  await snapshots.create({ name: 's', sourceVolumeId: id, parameters: new Map() });
  const other = serverOn(gpfs.server('b1'), 'b1');
  await expect(other.volumes.modify(id, asks({ pool: 'data' }))).rejects.toMatchObject({
    fault: { kind: 'busy' },
    message: expect.stringMatching(/node a1 is at work on it \(modify\)/) as string,
  });
  // That server is gone: the next one does the same again, and ends it.
  gpfs.set({ hang: [] });
  gpfs.clock.tick(goneAfterMs + 1);
  await other.volumes.modify(id, asks({ pool: 'data' }));
  expect(await record(id)).toMatchObject({ attributes: { pool: 'data' }, retype: null });
  expect((await record(id)).attachments).toHaveLength(1);
  expect(await shownOf(gpfs, 'v')).toMatch(/pool name: *data/);
});

test('a class of attributes wins over the class, at creation too, and a retry is the same', async () => {
  const { gpfs, volumes, record } = await setup();
  const wanted = spec('v', { parameters: { pool: 'system' }, mutable: { pool: 'data' } });
  const { id } = await volumes.create(wanted);
  expect(await shownOf(gpfs, 'v')).toMatch(/pool name: *data/);
  expect((await record(id)).attributes).toMatchObject({ pool: 'data' });
  expect((await volumes.create(wanted)).id).toBe(id);
  const other = spec('v', { parameters: { pool: 'system' } });
  await expect(volumes.create(other)).rejects.toMatchObject({ fault: { kind: 'name-taken' } });
  const wrong = spec('w', { mutable: { root: testRoot } });
  await expect(volumes.create(wrong)).rejects.toMatchObject({
    fault: { kind: 'invalid-request', field: 'mutable_parameters' },
  });
});

test('attributes are compared with what the volume has now', async () => {
  const { volumes } = await setup();
  const { id } = await volumes.create(spec('v', { parameters: { pool: 'system' } }));
  await volumes.modify(id, asks({ pool: 'data' }));
  const ask = (mutable: Readonly<Record<string, string>>) =>
    volumes.validate(id, {
      capabilities: [block()],
      context: new Map(),
      parameters: asks({ pool: 'system' }),
      mutable: asks(mutable),
    });
  expect(await ask({ pool: 'data' })).toEqual({ confirmed: true });
  expect(await ask({ pool: 'system' })).toMatchObject({ confirmed: false });
});

test('a clone made after a change says what its blocks keep', async () => {
  const { volumes } = await setup();
  const source = await volumes.create(spec('v', { parameters: { pool: 'system' } }));
  await volumes.modify(source.id, asks({ pool: 'data' }));
  const asked = { source: from('volume', source), parameters: { pool: 'system' } };
  const clone = await volumes.create(spec('c', asked));
  expect(clone.context).toMatchObject({
    sharedBlocks: expect.stringContaining('pool system') as string,
  });
});

test.each(['before', 'after'])(
  'a change that a fence overtook %s its command leaves no claim behind, and the next one goes through',
  async (when) => {
    const { gpfs, driver, store, record, volumes } = await setup();
    const { id } = await volumes.create(spec('v'));
    const other = serverOn(gpfs.server('b1'), 'b1');
    await other.roots.all();
    const before = await record(id);
    const key = before.image?.key;
    const place = await driver.roots.byId(id);
    if (!key || !place) throw new Error('the volume has no image');
    const { commands } = driver.host;
    const setAttributes = async (...told: Parameters<typeof commands.setAttributes>) => {
      if (when === 'after') await commands.setAttributes(...told);
      // A node that nobody has heard of since may still have the image open.
      await store.marks.set(key, { ...other.host.self, node: 'dead', machineId: 'machine-dead' });
      await other.attachments.publish(attach(id, 'b1'));
      if (when === 'before') await commands.setAttributes(...told);
    };
    const host = { ...driver.host, commands: { ...commands, setAttributes } };
    const change = asks({ dataReplicas: '2', metadataReplicas: '2' });
    await expect(modifyVolume(host, place, change)).rejects.toMatchObject({
      fault: { kind: 'busy' },
    });
    const after = await record(id);
    expect(after.image?.key).not.toBe(key);
    expect(after).toMatchObject({ retype: null, attributes: before.attributes });
    await other.volumes.modify(id, change);
    expect((await record(id)).attributes).toMatchObject({ dataReplicas: 2, metadataReplicas: 2 });
  },
);
