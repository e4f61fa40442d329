import { accountsOf, type Countable } from '../../model/forest/accounts.ts';
import type { Flawable } from '../../model/forest/flaws.ts';
import { growForest, type ForestNode } from '../../model/forest/forest.ts';
import type { KubernetesName } from '../../model/kubernetes.ts';
import type { Bytes } from '../../model/bytes.ts';
import type { RootStore } from '../../store/root.ts';
import type { Claim } from '../../store/schema/claim.ts';

/** What the figures of one volume are. */
export interface VolumeFigures {
  readonly name: string;
  readonly kubernetes?: KubernetesName | undefined;
  readonly bytes: Bytes;
  readonly own: Bytes;
  readonly shared: Bytes;
  readonly depth: number;
}

/** Operations that have begun and not ended, of one kind, by what became of their servers. */
export interface Begun {
  readonly op: Claim['op'];
  readonly server: 'alive' | 'silent' | 'gone';
  readonly count: number;
}

/** What a count keeps of each file. */
export interface Kept extends Countable, Flawable {
  readonly named: Pick<ForestNode, 'name' | 'kubernetes'> | undefined;
}

/** Keeps of a file what a count needs; the names of volumes only where somebody wants their figures. */
export const keepOf =
  (perVolume: number) =>
  ({ key, parent, kind, bytes, held, leaving, name, kubernetes }: ForestNode): Kept => ({
    key,
    parent,
    kind,
    bytes,
    held,
    leaving,
    named: perVolume > 0 && kind === 'volume' ? { name, kubernetes } : undefined,
  });

/** The figures of so many volumes, those first that hold the most. */
export function figuresOf(files: readonly Kept[], most: number): readonly VolumeFigures[] {
  if (most === 0) return [];
  const all: VolumeFigures[] = [];
  for (const { node, account } of accountsOf(growForest(files)))
    if (node.named) all.push({ ...node.named, ...account, bytes: node.bytes });
  return all.sort((a, b) => compare(b.own, a.own) || compare(a.name, b.name)).slice(0, most);
}

const compare = <T extends Bytes | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

/** Counts claims by operation, and by whether the server that made them may still be at work. */
export async function begunOf(
  { nodes }: Pick<RootStore, 'nodes'>,
  claims: readonly Claim[],
): Promise<readonly Begun[]> {
  const fates = new Map<string, Begun['server']>();
  const counts = new Map<string, Begun>();
  for (const claim of claims) {
    // Each server is looked up once, however many claims it has.
    const who = `${claim.instance} ${claim.released} ${claim.node}`;
    const server = fates.get(who) ?? (await nodes.fateOf(claim));
    fates.set(who, server);
    const { op } = claim;
    const before = counts.get(`${op} ${server}`)?.count ?? 0;
    counts.set(`${op} ${server}`, { op, server, count: before + 1 });
  }
  return [...counts.values()];
}
