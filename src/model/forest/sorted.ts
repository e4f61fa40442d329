import type { Bytes } from '../bytes.ts';
import { titleOf } from './names.ts';
import type { FileRow } from './view.ts';

/** By what files can be ordered: the most first, names from a to z. */
export const orders = ['own', 'reclaimable', 'age', 'depth', 'name'] as const;
export type Order = (typeof orders)[number];

/** Files in an order, without their trees; the first `top` of them. Equal ones are ordered by name. */
export function sortRows(
  rows: readonly FileRow[],
  by: Order,
  frees: ReadonlyMap<string, Bytes>,
  top = Infinity,
): readonly FileRow[] {
  const value = measures[by];
  const measured = rows.map((row) => ({ row, value: value(row, frees), title: titleOf(row.node) }));
  return measured
    .sort((a, b) => -compare(a.value, b.value) || compare(a.title, b.title))
    .slice(0, top)
    .map(({ row }) => ({ ...row, above: undefined, follows: [], down: false, only: false }));
}

type Measure = (row: FileRow, frees: ReadonlyMap<string, Bytes>) => bigint;

const measures: Readonly<Record<Order, Measure>> = {
  own: ({ node }) => node.held ?? 0n,
  reclaimable: ({ node }, frees) => frees.get(node.key) ?? 0n,
  age: ({ node }) => -BigInt(Math.trunc(node.createdMs)),
  depth: ({ account }) => BigInt(account.depth),
  name: () => 0n,
};

const compare = (a: bigint | string, b: bigint | string): number => (a < b ? -1 : Number(a > b));
