import type { Above, Chain, Child } from '../../model/compaction.ts';
import type { FileKey } from '../../model/ids.ts';
import { heldBytes } from '../claims/data-files.ts';
import type { RootStore } from '../../store/root.ts';
import { brokenChain } from '../parents/depth.ts';
import { parentRecord } from '../parents/record.ts';
import { headWith, type Head } from './heads.ts';

/** A dead parent with more children than this is not considered: copying it into each child would cost too much. */
const fewChildren = 8;

/** Whether there are so few children that redirecting them all may pay off. */
export const isFewChildren = (children: readonly FileKey[]): boolean =>
  children.length <= fewChildren;

/** No GPFS allows a deeper tree (docs/gpfs.md 1.4), so records of a deeper one form a circle. */
const deepest = 1000;

/** The records and block counts of a head and of every clone parent above it. */
export async function readChain(
  store: RootStore,
  head: Head,
  settings: Pick<Chain, 'redirectParent' | 'deep'>,
): Promise<Chain> {
  const above: Above[] = [];
  for (let key = head.parent; key !== null;) {
    if (above.length === deepest) throw brokenChain(head.id, `it has more than ${deepest} parents`);
    const { parent, ...each } = await readParent(store, head, key);
    above.push(each);
    key = parent;
  }
  return {
    ...settings,
    kind: head.kind === 'volume' ? 'volume' : 'parent',
    heldBytes: await heldBytes(store, head.ref),
    above,
    unchanged: head.volume?.unchanged ?? false,
    maxDepth: head.volume?.options.maxCloneDepth ?? 0,
  };
}

async function readParent(
  store: RootStore,
  head: Head,
  key: FileKey,
): Promise<Above & { readonly parent: FileKey | null }> {
  const record = await parentRecord(store, key);
  if (!record) throw brokenChain(head.id, `no record knows its clone parent ${key}`);
  const dead = (await store.hidden.read(key)) !== undefined;
  const children = await store.edges.children(key);
  const known = dead && children.length > 1 && isFewChildren(children);
  return {
    key,
    dead,
    parent: record.parent,
    heldBytes: await heldBytes(store, record.ref),
    children: known ? await readChildren(store, children) : children.map(() => unknownChild),
  };
}

// Counts as a child into which everything would be copied.
const unknownChild: Child = { heldBytes: 0n, bytes: 1n << 62n };

const readChildren = (store: RootStore, children: readonly FileKey[]): Promise<readonly Child[]> =>
  Promise.all(
    children.map(async (key) => {
      const child = await headWith(store, key);
      return child
        ? { bytes: child.bytes, heldBytes: await heldBytes(store, child.ref) }
        : unknownChild;
    }),
  );
