import { accountsOf } from '../../model/forest/accounts.ts';
import type { ForestNode } from '../../model/forest/forest.ts';
import { freeingOf, parentsOf } from '../../model/forest/kept.ts';
import type { PlaceFacts } from '../../model/explain/facts.ts';
import { ownerOfKey, type FileKey } from '../../model/ids.ts';
import { showName } from '../../model/kubernetes.ts';
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
  const { freed, keptBy } = freeingOf(forest, node);
  const accounts = new Map([...accountsOf(forest)].map((each) => [each.node.key, each.account]));
  const { depth, own, shared } = accounts.get(node.key) ?? { depth: 0, own: 0n, shared: 0n };
  const names = (files: readonly ForestNode[]): Promise<readonly string[]> =>
    Promise.all(files.map((file) => titleOf(store, file)));
  return {
    depth,
    ownBytes: Number(own),
    sharedBytes: Number(shared),
    parents: await names(parentsOf(forest, node)),
    children: await names((forest.children.get(key) ?? []).slice(0, mostChildren)),
    freedBytes: Number(freed),
    keptBy: await names(keptBy),
  };
}

/** `volume app/data`: the name in Kubernetes where the record has one. */
async function titleOf(store: RootStore, { kind, key, name }: ForestNode): Promise<string> {
  const owner = ownerOfKey(key as FileKey);
  if (kind !== 'volume' && kind !== 'snapshot') return `${kind} ${name}`;
  const records = kind === 'volume' ? store.volumes : store.snapshots;
  const held = await records.read(owner).catch(() => undefined);
  const named = held?.value.kubernetes;
  return `${kind} ${named ? showName(named) : name}`;
}
