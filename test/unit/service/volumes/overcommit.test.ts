import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { GiB, MiB } from '../../../../src/model/bytes.ts';
import { answerFor } from '../../../../src/server/call/status.ts';
import type { LimitOptions } from '../../../../src/service/volumes/overcommit.ts';
import { mmFails } from '../../../support/memory/breaking.ts';
import {
  block,
  clusterWithRoot,
  dataFiles,
  serverOn,
  spec,
  type Cluster,
} from '../../../support/memory/driver.ts';

type Options = Parameters<typeof clusterWithRoot>[0];
const setup = async (limits: Partial<LimitOptions>, options: Options = {}) => {
  // 1 GiB, of which records take some.
  const gpfs = await clusterWithRoot({ totalKiB: 2n ** 20n, ...options });
  const all = { overcommitPercent: 0, reservePercent: 0, ...limits };
  return { gpfs, ...serverOn(gpfs, 'a1', { limits: all }) };
};
const size = (requiredBytes: bigint) => ({ range: { requiredBytes, limitBytes: 0n } });
const ask = (parameters: Readonly<Record<string, string>> = {}) => ({
  capabilities: [block()],
  parameters: new Map(Object.entries(parameters)),
});

describe('the over-commit limit', () => {
  test('refuses what would be too much, naming itself, and counts what goes', async () => {
    const { volumes } = await setup({ overcommitPercent: 200 });
    const first = await volumes.create(spec('v1', size(GiB)));
    await volumes.create(spec('v2', size(GiB - 64n * MiB)));
    const third = spec('v3', size(128n * MiB));
    const refused = volumes.create(third);
    await expect(refused).rejects.toMatchObject({ fault: { kind: 'limit-reached' } });
    await expect(refused).rejects.toThrow(/over-commit limit of 200 percent allows 2 GiB/);
    await expect(
      volumes.expand(first.id, { requiredBytes: 2n * GiB, limitBytes: 0n }, undefined),
    ).rejects.toThrow(/over-commit limit/);
    await volumes.remove(first.id);
    expect((await volumes.create(third)).bytes).toBe(128n * MiB);
  });

  test('is what is left of capacity, and the largest volume', async () => {
    const { capacity, volumes } = await setup({ overcommitPercent: 100 });
    await volumes.create(spec('v', size(768n * MiB)));
    expect(await capacity.capacity(ask())).toMatchObject({
      available: 256n * MiB,
      maximum: 256n * MiB,
    });
  });
});

/** A limit for ten volumes of 128 MiB. */
const forTen = { overcommitPercent: 125 };
const eighth = size(128n * MiB);
const names = Array.from({ length: 20 }, (_, n) => `v${n}`);
const recordsOf = (gpfs: Cluster) =>
  gpfs.paths().filter((path) => path.includes('/.gpfs-csi/records/volumes/'));

describe('the over-commit limit holds exactly on one server', () => {
  test('of twenty creations at once for which there is room for ten, ten succeed', async () => {
    const { gpfs, volumes } = await setup(forTen);
    const settled = await Promise.allSettled(
      names.map((each) => volumes.create(spec(each, eighth))),
    );
    const refused = settled.flatMap((each) =>
      each.status === 'rejected' ? [answerFor(each.reason)] : [],
    );
    expect(refused).toHaveLength(10);
    for (const { code, details } of refused) {
      expect(code).toBe(status.RESOURCE_EXHAUSTED);
      expect(details).toMatch(/over-commit limit of 125 percent allows 1280 MiB/);
    }
    expect(dataFiles(gpfs)).toHaveLength(10);
    expect(recordsOf(gpfs)).toHaveLength(10);
  });

  test('a creation that is repeated, at once or later, counts once', async () => {
    const { gpfs, volumes } = await setup(forTen);
    const ten = names.slice(0, 10);
    await Promise.allSettled([...ten, ...ten].map((each) => volumes.create(spec(each, eighth))));
    for (const each of ten) await volumes.create(spec(each, eighth));
    gpfs.clock.tick(61_000);
    for (const each of ten) await volumes.create(spec(each, eighth));
    expect(dataFiles(gpfs)).toHaveLength(10);
    await expect(volumes.create(spec('v10', eighth))).rejects.toThrow(/have 1280 MiB together/);
  });

  test('what failed is given back at once', async () => {
    const { gpfs } = await setup(forTen);
    const limits = { overcommitPercent: 125, reservePercent: 0 };
    let working = mmFails(gpfs.run, 'mmchattr');
    const run: Cluster['run'] = (argv, ...rest) => working(argv, ...rest);
    const { volumes } = serverOn({ ...gpfs, run }, 'b1', { limits });
    const placed = (each: string) => spec(each, { ...eighth, parameters: { pool: 'data' } });
    for (const each of names)
      await expect(volumes.create(placed(each))).rejects.toThrow(/mmchattr/);
    working = gpfs.run;
    for (const each of names.slice(10)) await volumes.create(placed(each));
    await expect(volumes.create(placed('v0'))).rejects.toThrow(/over-commit limit/);
  });

  test('expansions at once count against each other and against creations', async () => {
    const { volumes } = await setup(forTen);
    const made = await Promise.all(
      names.slice(0, 8).map((each) => volumes.create(spec(each, eighth))),
    );
    const grow = (id: string) =>
      volumes.expand(id, { requiredBytes: 256n * MiB, limitBytes: 0n }, undefined);
    const all = [...made.map(({ id }) => grow(id)), volumes.create(spec('v8', eighth))];
    const settled = await Promise.allSettled<unknown>(all);
    expect(settled.filter(({ status: how }) => how === 'fulfilled')).toHaveLength(2);
    const { items } = await volumes.list({ max: 0, token: '' });
    expect(items.reduce((sum, { bytes }) => sum + bytes, 0n)).toBe(1280n * MiB);
    // What has grown already asks for no more.
    for (const { id, bytes } of items) if (bytes === 256n * MiB) await grow(id);
  });

  test('what happens while volumes are being counted is neither lost nor counted twice', async () => {
    const { gpfs, volumes, capacity } = await setup(forTen);
    await volumes.create(spec('old', eighth));
    for (const round of [0, 1, 2]) {
      gpfs.clock.tick(61_000);
      const making = names.slice(round * 3, round * 3 + 3);
      await Promise.all([
        capacity.capacity(ask()),
        ...making.map((each) => volumes.create(spec(each, eighth))),
        capacity.capacity(ask()),
      ]);
    }
    expect((await capacity.capacity(ask())).available).toBe(0n);
    await expect(volumes.create(spec('one-more', eighth))).rejects.toThrow(/over-commit limit/);
    gpfs.clock.tick(61_000);
    await expect(volumes.create(spec('one-more', eighth))).rejects.toThrow(
      /have 1280 MiB together/,
    );
  });

  test('servers know of each other a minute later', async () => {
    const { gpfs, volumes } = await setup(forTen);
    const limits = { overcommitPercent: 125, reservePercent: 0 };
    const other = serverOn(gpfs, 'b1', { limits });
    await other.volumes.create(spec('first', eighth));
    for (const each of names.slice(0, 9)) await volumes.create(spec(each, eighth));
    await expect(volumes.create(spec('v9', eighth))).rejects.toThrow(/over-commit limit/);
    gpfs.clock.tick(61_000);
    await expect(other.volumes.create(spec('v9', eighth))).rejects.toThrow(/over-commit limit/);
  });
});

describe('the reserve', () => {
  test('is not available, and nothing new is made when less is free', async () => {
    const { capacity, volumes } = await setup({ reservePercent: 50 });
    const { available } = await capacity.capacity(ask());
    expect(available).toBeLessThan(GiB / 2n);
    expect(available).toBeGreaterThan(GiB / 2n - 64n * MiB);
    await volumes.create(spec('v'));
    const full = await setup({ reservePercent: 90 });
    // Records of many volumes: a block of 4 MiB each in this simulator.
    const making = async () => {
      for (let n = 0; n < 60; n++) await full.volumes.create(spec(`v${n}`));
    };
    await expect(making()).rejects.toThrow(/less than the reserve of 90 percent/);
    await expect(full.volumes.create(spec('w'))).rejects.toMatchObject({
      fault: { kind: 'no-space' },
    });
  });
});

test('the reserve is of the quota where the fileset has one', async () => {
  const personality = { filesetQuotaKiB: 1024 * 100, filesetUsedKiB: 1024 * 95 };
  const { gpfs, capacity, volumes } = await setup({ reservePercent: 10 }, { personality });
  expect((await capacity.capacity(ask())).available).toBe(0n);
  await expect(volumes.create(spec('v'))).rejects.toThrow(
    /5 MiB free, less than the reserve of 10/,
  );
  gpfs.set({ filesetUsedKiB: 0 });
  gpfs.clock.tick(61_000);
  expect((await capacity.capacity(ask())).available).toBe(90n * MiB);
  expect((await volumes.create(spec('v'))).bytes).toBe(64n * MiB);
});

test('a thick volume is never larger than what is free', async () => {
  const { capacity } = await setup({});
  const thin = await capacity.capacity(ask());
  expect(thin.maximum).toBeGreaterThan(GiB);
  const thick = await capacity.capacity(ask({ provisioning: 'thick' }));
  expect(thick.maximum).toBe(thick.available);
});
