import type { Check } from '../audit/check.ts';
import type { FleetRoot } from '../audit/fleet.ts';
import type { FileKind, ForestNode } from '../forest/forest.ts';

/** All that the page of `gpfs-csi report` shows; as JSON in the page. */
export interface ReportData {
  readonly madeMs: number;
  /** The node and the version that made it. */
  readonly node: string;
  readonly version: string;
  /** What the doctor found on that node, without a probe. */
  readonly checks: readonly Check[];
  readonly roots: readonly ReportRoot[];
}

/** One root of the report. */
export interface ReportRoot {
  readonly path: string;
  readonly id: string;
  /** Of the file system or the fileset, in bytes. */
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** What the doctor found in it. */
  readonly checks: readonly Check[];
  /** The servers that use it, its queue and its abilities, as they were left in the root. */
  readonly fleet: Pick<FleetRoot, 'nodes' | 'queue' | 'probe'>;
  /** Records that could not be read, a sentence each. */
  readonly problems: readonly string[];
  readonly files: readonly PackedFile[];
}

/**
 * One file, without the names of its fields: there may be ten thousand. Sizes are numbers of bytes; `held` is null
 * for a file that is missing.
 */
export type PackedFile = readonly [
  key: string,
  parent: string | null,
  kind: number,
  id: string | null,
  name: string,
  kubernetes: readonly [namespace: string, name: string] | null,
  bytes: number,
  held: number | null,
  createdMs: number,
  attachedTo: readonly string[],
  marks: number,
  group: string | null,
];

const kinds: readonly FileKind[] = ['volume', 'snapshot', 'tombstone', 'hidden parent'];
const leavingMark = 1;
const goldenMark = 2;

/** A file as it lies in the page. */
export const packFile = (node: ForestNode): PackedFile => [
  node.key,
  node.parent,
  kinds.indexOf(node.kind),
  node.id ?? null,
  node.name,
  node.kubernetes ? [node.kubernetes.namespace, node.kubernetes.name] : null,
  Number(node.bytes),
  node.held === undefined ? null : Number(node.held),
  node.createdMs,
  node.attachedTo,
  (node.leaving ? leavingMark : 0) | (node.golden === true ? goldenMark : 0),
  node.group ?? null,
];

/** The file that a page holds. */
export function unpackFile(packed: PackedFile): ForestNode {
  const [
    key,
    parent,
    kind,
    id,
    name,
    kubernetes,
    bytes,
    held,
    createdMs,
    attachedTo,
    marks,
    group,
  ] = packed;
  return {
    key,
    parent,
    kind: kinds[kind] ?? 'volume',
    id: id ?? undefined,
    name,
    kubernetes: kubernetes ? { namespace: kubernetes[0], name: kubernetes[1] } : undefined,
    bytes: BigInt(bytes),
    held: held === null ? undefined : BigInt(held),
    createdMs,
    attachedTo,
    leaving: (marks & leavingMark) !== 0,
    golden: (marks & goldenMark) !== 0,
    group: group ?? undefined,
  };
}
