import { describe, expect, test } from 'vitest';
import { from, spec, tend } from '../support/memory/driver.ts';
import { allow, attach } from '../support/memory/world.ts';
import {
  all,
  bytesOf,
  create,
  cut,
  hidden,
  idOf,
  site,
  write,
  type Site,
} from '../support/memory/site.ts';
import { expectSound, recordsIn } from '../support/memory/truth.ts';

// What many clones and snapshots of one volume leave behind.

const clone = (here: Site, name: string, of: string) =>
  here.driver.volumes.create(
    spec(name, { source: from('volume', idOf(here, of)), range: undefined }),
  );

/** How many clone parents are above a volume, by the records. */
function levels(here: Site, name: string): number {
  const volumes = recordsIn(here.gpfs, 'volumes');
  const parents = new Map(
    [...recordsIn(here.gpfs, 'hidden'), ...recordsIn(here.gpfs, 'snapshots')].map((record) => [
      record.file?.key ?? record.id,
      record.parent ?? null,
    ]),
  );
  let count = 0;
  let key = volumes.find(({ id }) => id === name)?.parent ?? null;
  for (; key !== null; key = parents.get(key) ?? null) count += 1;
  return count;
}

const tendOften = async (here: Site, rounds: number): Promise<void> => {
  for (let round = 0; round < rounds; round += 1) await tend(here.driver);
};

describe('a dozen clones of a volume in use that nothing is written to', () => {
  const burst = async (here: Site): Promise<Site> => {
    await create(here, 'v');
    await here.driver.attachments.publish(attach(idOf(here, 'v').id));
    for (let n = 0; n < 12; n += 1) await clone(here, `c${n}`, 'v');
    return here;
  };

  test('leave one level once the volume is detached', async () => {
    const here = await burst(await site());
    expect([hidden(here), levels(here, 'v')]).toEqual([12, 12]);
    await tendOften(here, 2);
    await here.driver.attachments.unpublish(idOf(here, 'v').id, 'a1');
    await tendOften(here, 2);
    expect([hidden(here), levels(here, 'v'), levels(here, 'c11')]).toEqual([1, 1, 1]);
    for (const n of [0, 7, 11]) expect(bytesOf(here, `volumes/c${n}`)).toEqual(all.map(() => 'v'));
    expectSound(here.gpfs);
  });

  test('leave two levels while it is in use, where GPFS redirects parents', async () => {
    const here = await site({}, { redirectParent: true });
    await allow(here, { redirectParent: true });
    await burst(here);
    await tendOften(here, 2);
    expect(levels(here, 'v')).toBeLessThanOrEqual(2);
    expect(bytesOf(here, 'volumes/v')).toEqual(all.map(() => 'v'));
    expectSound(here.gpfs);
  });
});

test('snapshots of a volume that nothing is written to add no level', async () => {
  const here = await site();
  await create(here, 'v');
  for (let n = 0; n < 10; n += 1) {
    await cut(here, `s${n}`, 'v');
    await tend(here.driver);
  }
  expect(levels(here, 'v')).toBeLessThanOrEqual(2);
  expect(bytesOf(here, 'snapshots/s9')).toEqual(all.map(() => 'v'));
  expectSound(here.gpfs);
});

describe('an hourly clone of a database that runs, of which every clone is kept', () => {
  test.each([
    ['where GPFS redirects parents', { attached: 'never' }, { redirectParent: true }],
    ['where GPFS redirects files in use', { attached: 'auto' }, { redirectAttached: true }],
  ] as const)('never reaches the greatest depth, %s', async (_, options, abilities) => {
    const maxDepth = 16;
    const here = await site({ ...options, maxDepth }, { redirectParent: true, redirectOpen: true });
    await allow(here, abilities);
    await create(here, 'v');
    await here.driver.attachments.publish(attach(idOf(here, 'v').id));
    for (let hour = 0; hour < 40; hour += 1) {
      write(here, 'v', `hour ${hour}`, hour % all.length);
      await clone(here, `c${hour}`, 'v');
      await tend(here.driver);
      expect(levels(here, 'v')).toBeLessThanOrEqual(maxDepth / 2 + 2);
    }
    expect(bytesOf(here, 'volumes/c20')[20 % all.length]).toBe('hour 20');
    expect(bytesOf(here, 'volumes/c20')[5]).toBe('hour 5');
    expectSound(here.gpfs);
  });
});
