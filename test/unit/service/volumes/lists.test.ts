import { describe, expect, test } from 'vitest';
import { silentLog } from '../../../../src/observe/log.ts';
import type { Driver } from '../../../../src/service/driver.ts';
import { textBlock } from '../../../../src/simulator/memory/file-system.ts';
import { clusterWithRoot, serverOn, snap, spec } from '../../../support/memory/driver.ts';
import { attach } from '../../../support/memory/world.ts';

const fault = (kind: string) =>
  expect.objectContaining({ fault: expect.objectContaining({ kind }) as unknown }) as unknown;
const everything = { id: '', sourceVolumeId: '' };

const some = (driver: Driver, from: number, many: number) =>
  Promise.all(
    Array.from({ length: many }, (_, at) => driver.volumes.create(spec(`v${from + at}`))),
  );

test('a page that is exactly full is the last one; snapshots come in pages too', async () => {
  const driver = serverOn(await clusterWithRoot());
  const made = await some(driver, 0, 4);
  const first = await driver.volumes.list({ max: 2, token: '' });
  expect((await driver.volumes.list({ max: 2, token: first.next })).next).toBe('');
  const cuts = await Promise.all(
    made.map((each, at) => driver.snapshots.create(snap(`s${at}`, each))),
  );
  const one = await driver.snapshots.list(everything, { max: 3, token: '' });
  const two = await driver.snapshots.list(everything, { max: 3, token: one.next });
  expect(new Set([...one.items, ...two.items])).toEqual(new Set(cuts));
  expect([one.items.length, two.items.length, two.next]).toEqual([3, 1, '']);
});

test('a token of another list, a changed one and a huge one are refused', async () => {
  const driver = serverOn(await clusterWithRoot());
  await some(driver, 0, 3);
  const { next } = await driver.volumes.list({ max: 1, token: '' });
  const flipped = (next.startsWith('A') ? 'B' : 'A') + next.slice(1);
  for (const token of [flipped, `${next}A`, next.slice(1), '1', '-1', 'x'.repeat(1 << 20)])
    await expect(driver.volumes.list({ max: 1, token })).rejects.toEqual(fault('bad-token'));
  const page = { max: 1, token: next };
  for (const filter of [everything, { id: 'x', sourceVolumeId: '' }])
    await expect(driver.snapshots.list(filter, page)).rejects.toEqual(fault('bad-token'));
});

describe('entries', () => {
  test('a record that cannot be read is left out, and logged once with its path', async () => {
    const gpfs = await clusterWithRoot();
    const errors: unknown[] = [];
    const error = (fields: unknown) => void errors.push(fields);
    const driver = serverOn(gpfs, 'a1', { log: { ...silentLog, error } });
    await some(driver, 0, 3);
    const record = gpfs.paths().find((each) => /records\/volumes\/...\/v1\.\d+$/.test(each)) ?? '';
    gpfs.write(record, textBlock, '{');
    for (let round = 0; round < 3; round++) {
      const { items } = await driver.volumes.list({ max: 0, token: '' });
      expect(items.map(({ id }) => id.slice(9)).sort()).toEqual(['v0', 'v2']);
    }
    expect(errors).toHaveLength(1);
    expect(String((errors[0] as { error: unknown }).error)).toContain(record);
  });

  test('snapshots are found by their id, by their volume, and by both', async () => {
    const driver = serverOn(await clusterWithRoot());
    const v = await driver.volumes.create(spec('v'));
    const w = await driver.volumes.create(spec('w'));
    const cut = await driver.snapshots.create(snap('s', v));
    await driver.snapshots.create(snap('t', w));
    const of = async (id: string, sourceVolumeId: string) =>
      (await driver.snapshots.list({ id, sourceVolumeId }, { max: 0, token: '' })).items;
    for (const filter of [[cut.id, ''] as const, ['', v.id] as const, [cut.id, v.id] as const])
      expect(await of(...filter)).toEqual([cut]);
    for (const filter of [[cut.id, w.id] as const, ['no', ''] as const, ['', 'no'] as const])
      expect(await of(...filter)).toEqual([]);
    await driver.volumes.remove(v.id);
    expect(await of('', v.id)).toEqual([cut]);
  });

  test('say which nodes have a volume', async () => {
    const driver = serverOn(await clusterWithRoot());
    const v = await driver.volumes.create(spec('v'));
    await driver.attachments.publish(attach(v.id));
    const { items } = await driver.volumes.list({ max: 0, token: '' });
    expect(items).toEqual([{ ...v, publishedNodes: ['a1'] }]);
  });
});
