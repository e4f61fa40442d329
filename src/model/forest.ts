import type { Bytes } from './bytes.ts';
import { showBytes } from './bytes.ts';

/** One data file of the clone forest, as the records know it. */
export interface ForestNode {
  readonly key: string;
  readonly kind: 'volume' | 'snapshot' | 'hidden parent' | 'tombstone';
  /** What its user calls it, or the id of what it came from. */
  readonly name: string;
  readonly bytes: Bytes;
  readonly parent: string | null;
  readonly attachedTo: readonly string[];
}

/** The forest as text, parents above their children; a parent that no record knows is said so. */
export function drawForest(nodes: readonly ForestNode[]): readonly string[] {
  const known = new Set(nodes.map(({ key }) => key));
  const roots = nodes.filter(({ parent }) => parent === null || !known.has(parent));
  return sorted(roots).flatMap((node) => {
    const lost = node.parent === null ? '' : `  (its parent ${node.parent} is unknown)`;
    return [`${label(node)}${lost}`, ...below(nodes, node, '', new Set())];
  });
}

/** `path` holds the keys above: a damaged record could make a circle. */
function below(
  nodes: readonly ForestNode[],
  { key }: ForestNode,
  indent: string,
  path: ReadonlySet<string>,
): readonly string[] {
  if (path.has(key)) return [`${indent}└─ (a circle: ${key} again)`];
  const children = sorted(nodes.filter(({ parent }) => parent === key));
  return children.flatMap((child, index) => {
    const last = index === children.length - 1;
    const line = `${indent}${last ? '└─' : '├─'} ${label(child)}`;
    return [
      line,
      ...below(nodes, child, `${indent}${last ? '   ' : '│  '}`, new Set([...path, key])),
    ];
  });
}

const sorted = (nodes: readonly ForestNode[]): readonly ForestNode[] =>
  [...nodes].sort((a, b) => (a.name < b.name ? -1 : 1));

const label = ({ kind, name, bytes, attachedTo }: ForestNode): string =>
  `${name}  [${kind}, ${showBytes(bytes)}${attachedTo.length > 0 ? `, on ${attachedTo.join(' and ')}` : ''}]`;
