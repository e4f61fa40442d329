import { accountsOf } from '../../model/forest/accounts.ts';
import { freesEach, lineOf, nearest } from '../../model/forest/deletion.ts';
import type { ForestNode } from '../../model/forest/forest.ts';
import { titleOf } from '../../model/forest/names.ts';
import type { PlaceFacts } from '../../model/explain/facts.ts';
import type { FileKey } from '../../model/ids.ts';
import type { RootStore } from '../../store/root.ts';
import type { ExplainHost } from './host.ts';

/** So many children are named. */
const mostChildren = 20;

/** The place of a file in the clone forest of its root; undefined for a file that no record of the forest names. */
export async function placeFacts(
  { forest: read }: Pick<ExplainHost, 'forest'>,
  store: RootStore,
  key: FileKey | undefined,
): Promise<PlaceFacts | undefined> {
  if (key === undefined) return undefined;
  const forest = await read(store);
  const node = forest.nodes.get(key);
  if (!node) return undefined;
  const accounts = new Map([...accountsOf(forest)].map((each) => [each.node.key, each.account]));
  const { depth, own, shared } = accounts.get(node.key) ?? { depth: 0, own: 0n, shared: 0n };
  return {
    depth,
    ownBytes: Number(own),
    sharedBytes: Number(shared),
    parents: lineOf(forest, new Set([key]))
      .slice(1)
      .map(called),
    children: (forest.children.get(key) ?? []).slice(0, mostChildren).map(called),
    freedBytes: Number(freesEach(forest).get(key) ?? 0n),
    keptBy: nearest(forest, node).map(called),
  };
}

/** `volume app/data`: the name in Kubernetes where the record has one. */
const called = (node: ForestNode): string => `${node.kind} ${titleOf(node)}`;
