import { equal, ok } from 'node:assert/strict';
import { list, pathOf, valueAt } from '../api.ts';
import type { Case } from '../case.ts';
import { onNode, nodes } from '../cluster/node.ts';
import { rolledOut } from '../driver.ts';
import { claim, snapshot } from '../objects.ts';
import type { Space } from '../kube.ts';
import { longPatienceMs, patienceMs, until } from '../setup/wait.ts';
import { dataFiles } from '../traces.ts';

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);

/** Many objects at once, and every order of deleting them. */
export const manyCases: readonly Case[] = [
  {
    id: 'hundred',
    says: '100 claims made at once are all bound',
    run: async (space) => {
      await space.apply(...numbers(100).map((n) => claim(`c${n}`)));
      await allBound(space, 100);
      await space.remove('pvc', '--all');
    },
  },
  {
    id: 'kill',
    says: 'the driver is killed in the middle of 50 claims, twice; all are bound, each to one volume',
    run: async (space) => {
      const before = (await dataFiles()).length;
      let [waves, kills] = [0, 0];
      while (kills < 2) {
        const first = waves * 50;
        ok(waves < 8, 'claims are bound too fast here to kill the driver among them');
        waves += 1;
        await space.apply(...numbers(50).map((n) => claim(`c${first + n}`)));
        if ((await atLeast(space, first + 5)) === waves * 50) continue;
        await killDrivers();
        kills += 1;
      }
      await allBound(space, waves * 50);
      equal((await dataFiles()).length, before + waves * 50);
      await rolledOut();
    },
  },
  {
    id: 'delete-orders',
    says: 'a volume, its snapshot, a restore and a clone are deleted in each of the 24 orders',
    run: async (space) => {
      const orders = permutations(['a', 's', 'r', 'c']);
      await space.apply(...orders.map((_, n) => claim(`a${n}`)));
      await space.apply(...orders.map((_, n) => snapshot(`s${n}`, `a${n}`)));
      await space.apply(
        ...orders.flatMap((_, n) => [
          claim(`r${n}`, { from: { kind: 'VolumeSnapshot', name: `s${n}` } }),
          claim(`c${n}`, { from: { kind: 'PersistentVolumeClaim', name: `a${n}` } }),
        ]),
      );
      await allBound(space, 3 * orders.length);
      for (const step of [0, 1, 2, 3]) {
        const names = orders.map((order, n) => objectName(order[step] ?? '', n));
        await space.remove(...names);
      }
    },
  },
];

async function boundClaims(space: Space): Promise<number> {
  const all = await list(pathOf('pvc', space.name));
  return all.filter((each) => valueAt(each, '.status.phase') === 'Bound').length;
}

async function allBound(space: Space, count: number): Promise<void> {
  let bound = 0;
  await until(`${count} claims are bound`, longPatienceMs, async () => {
    bound = await boundClaims(space);
    return bound === count;
  }).catch((error: unknown) => {
    throw new Error(`${bound} of ${count} claims were bound`, { cause: error });
  });
}

/** Waits until at least this many claims are bound, and resolves to how many are. */
const atLeast = (space: Space, count: number): Promise<number> =>
  until(
    `${count} claims are bound`,
    patienceMs,
    async () => {
      const bound = await boundClaims(space);
      return bound >= count ? bound : undefined;
    },
    20,
  );

/** Kills the driver's processes on both nodes as a crash would; kubelet starts them again. */
async function killDrivers(): Promise<void> {
  for (const node of nodes) {
    // The brackets keep the script from finding itself.
    const script =
      'for p in /proc/[0-9]*; do grep -qz [g]pfs-csi.js $p/cmdline && kill -9 ${p#/proc/}; done';
    await onNode(node, ['bash', '-c', `${script} 2>/dev/null; true`]);
  }
}

const objectName = (kind: string, n: number): string =>
  kind === 's' ? `volumesnapshot/s${n}` : `pvc/${kind}${n}`;

const permutations = (items: readonly string[]): readonly (readonly string[])[] =>
  items.length < 2
    ? [items]
    : items.flatMap((item) =>
        permutations(items.filter((each) => each !== item)).map((rest) => [item, ...rest]),
      );
