import { describe, expect, test } from 'vitest';
import { mounted, type Cluster } from '../../../support/memory/driver.ts';
import { group, snaps, withVolumes } from '../../../support/memory/groups.ts';
import { attach } from '../../../support/memory/world.ts';
import { contents, expectSound } from '../../../support/memory/truth.ts';

describe('volumes that are in use', () => {
  /** Two volumes whose class wants freezes, mounted on a node. */
  async function inUse() {
    const world = await withVolumes('v', 'w');
    for (const id of world.ids) {
      await world.driver.volumes.modify(id, new Map([['freeze', 'auto']]));
      await world.driver.attachments.publish(attach(id, 'a1', mounted()));
    }
    const requests = async (count: number) => {
      for (;;) {
        const found = await world.store.freezes.requestsTo('a1');
        if (found.length === count) return found;
        await new Promise(setImmediate);
      }
    };
    const cut = () => world.driver.groups.create(group('g', world.ids));
    const answer = ({ nonce }: { readonly nonce: string }, why = '') =>
      world.store.freezes.answer('a1', nonce, why);
    return { ...world, requests, cut, answer };
  }

  const nothingCut = ({ gpfs }: { readonly gpfs: Cluster }): void => {
    expect(Object.keys(contents(gpfs))).toEqual(['volumes/v', 'volumes/w']);
    expectSound(gpfs);
  };

  test('are cut once the last of them is frozen, and not before', async () => {
    const { gpfs, requests, cut, answer } = await inUse();
    const made = cut();
    const [first, second] = await requests(2);
    if (!first || !second) throw new Error('nobody was asked');
    await answer(first);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(snaps(gpfs)).toBe(0);
    await answer(second);
    expect((await made).snapshots).toHaveLength(2);
    expect(await requests(0)).toEqual([]);
    expectSound(gpfs);
  });

  test('are not cut where one is refused, or its node says nothing', async () => {
    const refusing = await inUse();
    const made = refusing.cut();
    const [first, second] = await refusing.requests(2);
    if (!first || !second) throw new Error('nobody was asked');
    await refusing.answer(first);
    await refusing.answer(second, 'somebody trims it');
    await expect(made).rejects.toThrow(
      /was not frozen .*\(node a1: somebody trims it\).*try again/,
    );
    const silent = await inUse();
    await expect(silent.cut()).rejects.toMatchObject({ fault: { kind: 'busy' } });
    for (const world of [refusing, silent]) {
      expect(snaps(world.gpfs)).toBe(0);
      expect(await world.requests(0)).toEqual([]);
      nothingCut(world);
    }
  });

  test('are given back when one thaws before the last cut, or nobody can tell any more', async () => {
    const early = await inUse();
    const late = await inUse();
    for (const [world, disturb] of [
      [early, (nonce: string) => early.store.freezes.takeBack('a1', nonce)],
      [
        late,
        () => {
          late.gpfs.clock.tick(10_000);
          return Promise.resolve();
        },
      ],
    ] as const) {
      const made = world.cut();
      const asked = await world.requests(2);
      const swap = world.store.snapshots.swap.bind(world.store.snapshots);
      const disturbing: typeof swap = async (...given) => {
        if (given[2].state === 'creating') await disturb(asked[0]?.nonce ?? '');
        return swap(...given);
      };
      Object.assign(world.store, { snapshots: { ...world.store.snapshots, swap: disturbing } });
      for (const each of asked) await world.answer(each);
      await expect(made).rejects.toThrow('it was over before the snapshot was cut');
      expect(snaps(world.gpfs)).toBe(2);
      nothingCut(world);
    }
  });
});
