import type { ForestNode } from '../model/forest.ts';
import { ownerOfKey } from '../model/ids.ts';
import type { Records } from '../store/records.ts';
import type { RootStore } from '../store/root.ts';
import type { HiddenRecord, SnapshotRecord, VolumeRecord } from '../store/schema.ts';

/** The clone forest of a root, from its records alone: no command is run. For people, not for deciding. */
export async function readForest(store: RootStore): Promise<readonly ForestNode[]> {
  return [
    ...(await nodesOf(store.volumes, volumeNode)),
    ...(await nodesOf(store.snapshots, snapshotNode)),
    ...(await nodesOf(store.hidden, hiddenNode)),
  ];
}

async function nodesOf<T>(
  records: Records<T>,
  node: (record: T) => ForestNode | undefined,
): Promise<readonly ForestNode[]> {
  const nodes: ForestNode[] = [];
  for (const shard of await records.shards())
    for (const id of (await records.ids(shard)).keys()) {
      const held = await records.read(id);
      const found = held && node(held.value);
      if (found) nodes.push(found);
    }
  return nodes;
}

const volumeNode = ({ state, image, name, bytes, parent, attachments }: VolumeRecord) =>
  state !== 'ready' || !image
    ? undefined
    : {
        key: image.key,
        kind: 'volume' as const,
        name,
        bytes,
        parent,
        attachedTo: attachments.map(({ node }) => node),
      };

const snapshotNode = ({ state, file, name, bytes, parent }: SnapshotRecord) =>
  state !== 'ready' || !file
    ? undefined
    : { key: file.key, kind: 'snapshot' as const, name, bytes, parent, attachedTo: [] };

const hiddenNode = ({ id, why, bytes, parent }: HiddenRecord): ForestNode => ({
  key: id,
  kind: why === 'clone' ? 'hidden parent' : 'tombstone',
  name: `of ${ownerOfKey(id)}`,
  bytes,
  parent,
  attachedTo: [],
});
