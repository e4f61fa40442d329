import { showBytes } from '../bytes.ts';
import type { AuditFacts, FileFact, Finding } from './facts.ts';
import type { Graph } from './facts-graph.ts';

/**
 * Files in the quarantine that GPFS calls clones: each keeps its clone parent from being removed, and its own blocks
 * are in no account. What is freed without such a file is said only where GPFS names nobody else who reads through that parent.
 */
export const asideFindings = ({ aside }: AuditFacts, graph: Graph): readonly Finding[] =>
  aside.flatMap(({ path, clone }): Finding[] => {
    const inode = clone?.parentInode;
    if (inode === undefined) return [];
    const parent = graph.byInode.get(inode);
    const named = parent ? `clone parent ${parent.name}` : `inode ${inode}`;
    const freed = freedWithout(graph, inode);
    return [
      {
        kind: 'quarantined clone',
        object: path,
        says: `${path} reads through ${named}, ${freed.length > 0 ? keeps(freed) : staysAnyhow(graph, inode)}`,
        remedy:
          freed.length > 0
            ? 'look at the file; once you are sure that nobody needs it, delete it, and a server removes what it keeps at its next sweep'
            : 'look at the file, and delete it once you are sure that nobody needs it',
      },
    ];
  });

function keeps(freed: readonly FileFact[]): string {
  const above =
    freed.length === 1 ? 'which stays' : `which stays with ${freed.length - 1} above it`;
  const held = freed.reduce((sum, each) => sum + (each.held ?? 0n), 0n);
  return `${above} only for this file: ${showBytes(held)} of blocks that no volume and no snapshot needs`;
}

/** Hidden parents that nothing but the reader of this inode reads through, the nearest first. */
function freedWithout(graph: Graph, inode: bigint): readonly FileFact[] {
  const freed: FileFact[] = [];
  for (let at: bigint | undefined = inode; at !== undefined;) {
    const file: FileFact | undefined = graph.byInode.get(at);
    const isHidden = file && graph.records.get(file.name)?.kind === 'hidden';
    if (!isHidden || graph.children.get(at) !== 1 || graph.busy.has(file.name)) return freed;
    freed.push(file);
    at = file.clone?.parentInode;
  }
  return freed;
}

/** Why the parent stays also without that file. */
function staysAnyhow(graph: Graph, inode: bigint): string {
  const file = graph.byInode.get(inode);
  if (!file) return 'which has no name in this root';
  const others = (graph.children.get(inode) ?? 1) - 1;
  if (others > 0) return `as ${others} other ${others === 1 ? 'file does' : 'files do'}`;
  const record = graph.records.get(file.name);
  if (!record) return 'which no record knows';
  return record.kind === 'hidden'
    ? 'which another operation uses at this moment'
    : `which belongs to ${record.kind} ${record.id}`;
}
