import { describe, expect, test } from 'vitest';
import { GiB, MiB } from '../../../src/model/bytes.ts';
import type { LimitOptions } from '../../../src/service/limits.ts';
import { block, clusterWithRoot, serverOn, spec } from '../../support/driver.ts';

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
    const { gpfs, volumes } = await setup({ overcommitPercent: 200 });
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
    gpfs.clock.tick(61_000);
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
