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

/** A name as one line of a terminal can show it: what would move the cursor, or turn the text, is written out. */
export const plainName = (name: string): string =>
  name.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
