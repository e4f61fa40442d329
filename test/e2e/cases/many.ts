import { equal } from 'node:assert/strict';
import type { Case } from '../case.ts';
import { onNode, nodes } from '../cluster/node.ts';
import { rolledOut } from '../driver.ts';
import { claim, snapshot } from '../objects.ts';
import type { Space } from '../kube.ts';
import { sleep, until } from '../setup/wait.ts';
import { dataFiles } from '../traces.ts';

const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n);

/** Many objects at once, and all orders of taking them away. */
export const manyCases: readonly Case[] = [
  {
    id: 'hundred',
    says: '100 claims made at once are all bound',
    run: async (space) => {
      await space.apply(...numbers(100).map((n) => claim(`c${n}`)));
      await allBound(space, 100);
      await space.kubectl(['delete', 'pvc', '--all', '--wait=true', '--timeout=120s']);
    },
  },
  {
    id: 'kill',
    says: 'the driver is killed in the middle of 50 claims; all are bound and none is there twice',
    run: async (space) => {
      const before = (await dataFiles()).length;
      await space.apply(...numbers(50).map((n) => claim(`c${n}`)));
      for (const patience of [500, 1500]) {
        await sleep(patience);
        await killDrivers();
      }
      await allBound(space, 50);
      equal((await dataFiles()).length, before + 50);
      await rolledOut();
    },
  },
  {
    id: 'delete-orders',
    says: 'a volume, its snapshot, a restore and a clone go in each of their 24 orders',
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

async function allBound(space: Space, count: number): Promise<void> {
  let bound = 0;
  await until(`${count} claims are bound`, 240_000, async () => {
    const phases = await space.kubectl(['get', 'pvc', '-o', 'jsonpath={.items[*].status.phase}']);
    bound = phases.split(' ').filter((phase) => phase === 'Bound').length;
    return bound === count;
  }).catch((error: unknown) => {
    throw new Error(`${bound} of ${count} claims were bound`, { cause: error });
  });
}

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
