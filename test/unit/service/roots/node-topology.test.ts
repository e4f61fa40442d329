import { describe, expect, test } from 'vitest';
import type { RootId } from '../../../../src/model/ids.ts';
import { rootTopology } from '../../../../src/model/topology.ts';
import { nodeTopology } from '../../../../src/service/roots/topology.ts';
import { virtualClock } from '../../../../src/simulator/core/clock.ts';

const topology = rootTopology('gpfs-clone.csi');

describe('what the kubelet was told', () => {
  const [a, b] = ['aaaaaaaa' as RootId, 'bbbbbbbb' as RootId];
  const node = () => {
    const clock = virtualClock(0);
    return { clock, ...nodeTopology(topology, clock) };
  };

  test('is not told twice, before anybody asked or when nothing changed', async () => {
    const { look, here } = node();
    expect([look([]), look([a]), look([a, b])]).toEqual([false, false, false]);
    expect(await here()).toEqual(topology.of(a, b));
    expect([look([b, a]), look([a, b])]).toEqual([false, false]);
  });

  test('is told again once, when a root comes', async () => {
    const { look, here } = node();
    look([]);
    expect(await here()).toEqual({});
    expect([look([a]), look([a]), look([a, b])]).toEqual([true, false, false]);
    expect(await here()).toEqual(topology.of(a, b));
  });

  test('stays while GPFS is restarted, and ends when a root stays away', async () => {
    const { look, here, clock } = node();
    look([a, b]);
    await here();
    expect(look([a])).toBe(false);
    clock.tick(299_999);
    expect(look([a])).toBe(false);
    expect(look([a, b])).toBe(false);
    clock.tick(1_000_000);
    expect(look([a])).toBe(false);
    expect(await here()).toEqual(topology.of(a, b));
    clock.tick(300_000);
    expect(look([a])).toBe(true);
    expect(await here()).toEqual(topology.of(a));
    expect(look([a, b])).toBe(true);
  });

  test('waits for the first look, but not for ever', async () => {
    const { look, here, looked } = node();
    const answer = here();
    const both = looked();
    look([a]);
    expect(await answer).toEqual(topology.of(a));
    await both;
    const hanging = node();
    const late = hanging.here();
    expect(hanging.clock.now()).toBe(0);
    expect(await late).toEqual({});
    expect(hanging.clock.now()).toBe(20_000);
    expect(hanging.look([a])).toBe(true);
  });
});
