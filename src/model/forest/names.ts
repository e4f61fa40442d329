import { isDead } from './accounts.ts';
import { showName } from '../kubernetes.ts';
import type { ForestNode } from './forest.ts';

/** What people call a file: its claim or snapshot of Kubernetes, else its name; `of …` where only its blocks are left. */
export function titleOf(node: Pick<ForestNode, 'kind' | 'name' | 'kubernetes'>): string {
  const { name, kubernetes } = node;
  if (kubernetes === undefined) return name;
  return isDead(node) ? `of ${showName(kubernetes)}` : showName(kubernetes);
}

/** The start of the UUID in the name of a volume or snapshot, which tells claims of one name apart; '' without one. */
export const shortId = ({ name }: Pick<ForestNode, 'name'>): string =>
  /\b([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.exec(name)?.[1] ?? '';
