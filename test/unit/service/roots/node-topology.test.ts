import { describe, expect, test } from 'vitest';
import type { RootId } from '../../../../src/model/ids.ts';
import { rootTopology } from '../../../../src/model/topology.ts';
import { nodeTopology } from '../../../../src/service/roots/topology.ts';
import { virtualClock } from '../../../../src/simulator/core/clock.ts';

const topology = rootTopology('gpfs-clone.csi');

describe('what was reported to the kubelet', () => {
  const [a, b] = ['aaaaaaaa' as RootId, 'bbbbbbbb' as RootId];
  const node = () => {
    const clock = virtualClock(0);
    return { clock, ...nodeTopology(topology, clock) };
  };

  test('is not told twice, before anybody asked or when nothing changed', async () => {
    const { update, here } = node();
    expect([update([]), update([a]), update([a, b])]).toEqual([false, false, false]);
    expect(await here()).toEqual(topology.of(a, b));
    expect([update([b, a]), update([a, b])]).toEqual([false, false]);
  });

  test('is reported again once, when a root comes', async () => {
    const { update, here } = node();
    update([]);
    expect(await here()).toEqual({});
    expect([update([a]), update([a]), update([a, b])]).toEqual([true, false, false]);
    expect(await here()).toEqual(topology.of(a, b));
  });

  test('stays while GPFS is restarted, and ends when a root stays away', async () => {
    const { update, here, clock } = node();
    update([a, b]);
    await here();
    expect(update([a])).toBe(false);
    clock.tick(299_999);
    expect(update([a])).toBe(false);
    expect(update([a, b])).toBe(false);
    clock.tick(1_000_000);
    expect(update([a])).toBe(false);
    expect(await here()).toEqual(topology.of(a, b));
    clock.tick(300_000);
    expect(update([a])).toBe(true);
    expect(await here()).toEqual(topology.of(a));
    expect(update([a, b])).toBe(true);
  });

  test('waits for the first update, but not for ever', async () => {
    const { update, here, updated } = node();
    const answer = here();
    const both = updated();
    update([a]);
    expect(await answer).toEqual(topology.of(a));
    await both;
    const hanging = node();
    const late = hanging.here();
    expect(hanging.clock.now()).toBe(0);
    expect(await late).toEqual({});
    expect(hanging.clock.now()).toBe(20_000);
    expect(hanging.update([a])).toBe(true);
  });
});
